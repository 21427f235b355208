// The row of docs/differences.md on Spanner, over HTTP.
import assert from "node:assert/strict";
import { describeWithSpanner, type SpannerServer, startSpanner } from "#test/servers/spanner.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithSpanner("differences on Spanner", () => {
  let server: SpannerServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startSpanner();
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.gcp.spanner", server.metadata) } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  it("SP1: there is a store on Spanner, with ETags, transactions and TTL", async () => {
    await save(wire, "sp1", "1");
    const { text, headers } = await ask(wire, "GET", `${STORE}/sp1`);
    assert.equal(text, "1");
    const request = { key: "sp1", value: 2, etag: headers.etag, metadata: { ttlInSeconds: "100" } };
    const operations = [
      { operation: "upsert", request },
      { operation: "upsert", request: { key: "sp1-too", value: 2 } },
    ];
    const transact = async (): Promise<number> =>
      (await ask(wire, "POST", `${STORE}/transaction`, { operations })).status;
    assert.deepEqual([await transact(), await transact()], [204, 409]);
    assert.notEqual((await ask(wire, "GET", `${STORE}/sp1`)).headers["metadata.ttlexpiretime"], undefined);
  });
});
