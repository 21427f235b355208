// docs/metrics.md against a scrape of a sidecar: the same names, types and labels.
import assert from "node:assert/strict";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

interface Metric {
  readonly type: string;
  readonly labels: readonly string[];
}

/** Node's own, which prom-client names. */
const NODES_OWN = /^(process|nodejs)_/;

describe("docs/metrics.md", () => {
  let wire: WireSidecar;
  let scrape: string;

  before(async () => {
    wire = await startWire({
      manifests: {
        "good.yaml": component("statestore", "state.in-memory"),
        "bad.yaml": component("lost", "state.sqlite", { connectionString: "no/such/folder/x.db" }).replace(
          "spec:",
          "spec:\n  ignoreErrors: true",
        ),
      },
    });
    await save(wire, "k", "1");
    await ask(wire, "GET", `${STORE}/k`);
    scrape = (await wire.ask("GET", "/", { port: wire.sidecar.metricsPort ?? 0 })).text;
  });
  after(() => wire.stop());

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
      // Nothing was reloaded here, so this one has no series.
      if (sample === undefined) assert.equal(name, "pannier_component_reload_total");
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
