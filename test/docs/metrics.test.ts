// docs/metrics.md against a scrape of a sidecar: the same names, types and labels.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, STORE, save } from "#test/wire/client.ts";
import { GrpcClient } from "#test/wire/grpc-client.ts";
import { GET, getOf } from "#test/wire/grpc-methods.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

interface Metric {
  readonly type: string;
  readonly labels: readonly string[];
}

const RESILIENCY =
  "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: r}\nspec: {policies: {circuitBreakers: {DefaultCircuitBreakerPolicy: {}}}}\n";
const CONFIGURATION =
  "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: c}\nspec: {metrics: {recordErrorCodes: true}}\n";

/** Of these nothing happened here, so they have no series. */
const SILENT: readonly string[] = [
  "pannier_component_reload_total",
  "dapr_resiliency_activations_total",
  "pannier_operator_connected",
  "pannier_operator_last_contact_timestamp_seconds",
];

/** Node's own, which prom-client names. */
const NODES_OWN = /^(process|nodejs)_/;

describe("docs/metrics.md", () => {
  let wire: WireSidecar;
  let scrape: string;
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-metrics-"));
    const config = join(folder, "config.yaml");
    await writeFile(config, CONFIGURATION);
    wire = await startWire({
      settings: { configPaths: [config] },
      manifests: {
        "policies.yaml": RESILIENCY,
        "good.yaml": component("statestore", "state.in-memory"),
        "bad.yaml": component("lost", "state.sqlite", { connectionString: "no/such/folder/x.db" }).replace(
          "spec:",
          "spec:\n  ignoreErrors: true",
        ),
      },
    });
    await save(wire, "k", "1");
    await ask(wire, "GET", `${STORE}/k`);
    await ask(wire, "GET", "/nowhere");
    const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
    await client.get(GET, getOf("k"));
    client.close();
    scrape = (await wire.ask("GET", "/", { port: wire.sidecar.metricsPort ?? 0 })).text;
  });
  after(async () => {
    await wire.stop();
    await rm(folder, { recursive: true });
  });

  it("has the names and types of a scrape, each way", () => {
    const types = [...scrape.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(
      ([, name = "", type = ""]) => [name, type] as const,
    );
    const scraped = types.filter(([name]) => !NODES_OWN.test(name)).sort();
    assert.ok(scraped.length > 8);
    assert.deepEqual([...documented()].map(([name, { type }]) => [name, type]).sort(), scraped);
  });

  it("has the labels of a scrape", () => {
    for (const [name, { labels }] of documented()) {
      const sample = new RegExp(`^${name}(?:_bucket|_sum|_count)?\\{(.*)\\} `, "m").exec(scrape)?.[1];
      if (sample === undefined) assert.ok(SILENT.includes(name), name);
      else assert.deepEqual(labelNames(sample), labels, name);
    }
  });
});

/** The rows of the page's table; "the same" means the labels of the row before. */
function documented(): ReadonlyMap<string, Metric> {
  const metrics = new Map<string, Metric>();
  let labels: readonly string[] = [];
  for (const line of readPage("docs/metrics.md").text.split("\n")) {
    const [names = "", type = "", last = ""] = line.split("|").slice(1, 4);
    if (!names.trim().startsWith("`")) continue;
    // What stands in brackets are values of the label before.
    if (last.trim() !== "the same") labels = codes(last.replaceAll(/\([^)]*\)/g, "")).sort();
    for (const name of codes(names).filter((each) => !NODES_OWN.test(each)))
      metrics.set(name, { type: /\w+/.exec(type)?.[0] ?? "", labels });
  }
  return metrics;
}

function codes(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
}

function labelNames(sample: string): string[] {
  const names = [...sample.matchAll(/(\w+)="/g)].map((match) => match[1] ?? "");
  return names.filter((name) => name !== "le").sort();
}
