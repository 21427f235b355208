// docs/operator.md against the operator's own registry: the same names, types and labels.
import assert from "node:assert/strict";
import { PrometheusOperatorMetrics } from "#operator/prometheus.ts";
import { readPage } from "./pages.ts";

const NODES_OWN = /^(process|nodejs)_/;

describe("docs/operator.md", () => {
  it("has every metric of the operator with its type and its labels, and no other", async () => {
    const metrics = new PrometheusOperatorMetrics();
    metrics.reconciled("c", "same", 1);
    metrics.queueDepth("c", 1);
    metrics.watchRestarted("r", "gone");
    metrics.cached("r", 1);
    metrics.streamEnded("slow");
    metrics.authorized("allowed");
    metrics.admitted("denied", "no-app-id", 1);
    metrics.certificateExpires("ca", 1);
    metrics.components({ True: 1, False: 1, Unknown: 1 });
    const text = await metrics.text();
    const scraped = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
      .map(([, name = "", type = ""]) => `${name} ${type} ${labelsOf(text, name)}`)
      .filter((each) => !NODES_OWN.test(each));
    assert.ok(scraped.length > 15);
    assert.deepEqual(documented(), scraped.sort());
  });
});

function labelsOf(text: string, name: string): string {
  const sample = new RegExp(`^${name}(?:_count)?\\{(.*)\\} `, "m").exec(text)?.[1] ?? "";
  return [...sample.matchAll(/(\w+)="/g)]
    .map((match) => match[1])
    .sort()
    .join(",");
}

function documented(): string[] {
  const rows = readPage("docs/operator.md").text.matchAll(
    /^\| (`(?:pannier_operator|dapr_injector).*?) \| (\w+).*? \|(.*)\|$/gm,
  );
  return [...rows]
    .flatMap(([, names = "", type = "", last = ""]) =>
      codes(names).map(
        (name) =>
          `${name} ${type} ${codes(last.replaceAll(/\([^)]*\)/g, ""))
            .sort()
            .join(",")}`,
      ),
    )
    .sort();
}

function codes(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
}
