// The rows of docs/differences.md on what the operator says of Components and pods.
import assert from "node:assert/strict";
import { type Bench, kubeError, secretRef, startBench } from "#test/unit/operator/components/bench.ts";
import { PodBench } from "#test/unit/operator/pods/bench.ts";
import { ENABLED, podOf } from "#test/unit/operator/pods/pods.ts";

describe("differences of status", () => {
  let bench: Bench;

  beforeEach(async () => {
    bench = await startBench();
  });
  afterEach(() => bench.close());

  it("K30: conditions, apps and Events say whether a Component works and why not", async () => {
    await bench.put();
    bench.report("app-1");
    await bench.rest(2000);
    assert.equal(bench.verdict("Ready"), "True Ready");
    bench.report("app-1", { reachable: false, message: "connection refused" });
    await bench.rest(2000);
    assert.equal(bench.verdict("Ready"), "False Unreachable");
    assert.deepEqual(
      bench.told.map(({ reason }) => reason),
      ["Ready", "Unreachable"],
    );
  });

  it("K31: a wrong manifest is told before a pod has it", async () => {
    await bench.put({ type: "state.redis", metadata: [{ name: "redisMaxRetries", value: "ten" }] });
    assert.equal(bench.verdict("MetadataValid"), "False Invalid");
    assert.match(bench.condition("MetadataValid")?.message ?? "", /redisMaxRetries: got "ten"/);
  });

  it("K32: a key that the Secret does not have is an error of the Component", async () => {
    bench.setSecret("redis", { password: "x" });
    await bench.put({ metadata: [secretRef("redis", "passwort")] });
    assert.equal(bench.verdict("Ready"), "False KeyNotFound");
    const [entry] = [...bench.table.of("shop")];
    assert.ok(entry?.secrets.every((part) => "problem" in part && !("value" in part)));
  });

  it("K33: Secrets are read where that was granted, and elsewhere the status has the command", async () => {
    bench.refuse = ({ path }) => (path.includes("/secrets/") ? kubeError(403) : null);
    await bench.put({ metadata: [secretRef("redis", "password")] });
    assert.equal(bench.verdict("SecretsResolved"), "False Forbidden");
    assert.match(bench.condition("SecretsResolved")?.message ?? "", /helm upgrade pannier .*\{default,shop\}'$/);
  });

  it("K34: a pod without its sidecar is told by an Event and left as it is", async () => {
    const pods = new PodBench();
    pods.cache.put(podOf("app", { annotations: ENABLED }));
    await pods.later();
    pods.watch.close();
    assert.deepEqual(
      pods.told.map(({ reason, about }) => [reason, about.metadata.name]),
      [["SidecarMissing", "app"]],
    );
    assert.deepEqual(pods.methods, new Set(["GET"]));
  });
});
