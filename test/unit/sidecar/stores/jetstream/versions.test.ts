// Which servers keep a condition, and what a store on one that does not declares.
import assert from "node:assert/strict";
import { keepsConditions } from "#sidecar/stores/jetstream/versions.ts";
import { describeWithNats, natsVersion, openBucket, startNatsServers } from "#test/servers/nats.ts";
import { openStore } from "./fixture.ts";

describe("the version of a NATS server", () => {
  for (const [version, keeps] of [
    ["2.9.10", false],
    ["2.9.20", false],
    ["2.9.21", true],
    ["2.9.21-RC.1", true],
    ["2.9.25", true],
    ["2.10.0", true],
    ["2.15.2", true],
    ["3.0.0", true],
    ["1.99.99", false],
    ["2.8.30", false],
    ["", false],
  ] as const) {
    it(`${version === "" ? "that is unknown" : version} ${keeps ? "is" : "is not"} relied on with replicas`, () => {
      assert.equal(keepsConditions(version, 3), keeps);
      assert.equal(keepsConditions(version, 1), true);
    });
  }
});

describeWithNats("a bucket with replicas", () => {
  it("has ETags only on servers that keep conditions, and the log says so", async () => {
    const servers = await startNatsServers(3);
    const natsURL = servers.map(({ url }) => url).join(",");
    const bucket = await openBucket(natsURL, "state", { replicas: 3 });
    const warnings: string[] = [];
    const store = await openStore({ natsURL }, warnings);
    try {
      const keeps = keepsConditions(natsVersion() ?? "", 3);
      assert.deepEqual([store.features.etag, store.capabilities], keeps ? [true, ["ETAG"]] : [false, []]);
      assert.equal(/ETags and first-write are refused/.test(warnings.join()), !keeps);
    } finally {
      await store.close();
      await bucket.close();
      await Promise.all(servers.map((server) => server.stop()));
    }
  }).timeout(120_000);
});
