// What the page of state.azure.cosmosdb shows for looking into the store: each query as printed there, asked by Microsoft's
// own client, against what a sidecar has written.
import assert from "node:assert/strict";
import { type CosmosServer, describeWithCosmosdb, startCosmosdb } from "#test/servers/cosmosdb.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

describeWithCosmosdb("a look into Cosmos DB", () => {
  let server: CosmosServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startCosmosdb();
    const manifest = component("statestore", "state.azure.cosmosdb", { ...server.fields, actorStateStore: "true" });
    wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "orders-app" } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  async function run(query: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { resources } = await server.container.items.query(query).fetchAll();
    return resources;
  }

  it("shows the values of an app, the state of an actor, and an average over actors", async () => {
    const [block, ...more] = readPage("docs/stores/azure.cosmosdb.md").blocks.filter(
      ({ language }) => language === "sql",
    );
    assert.deepEqual([block !== undefined, more], [true, []]);
    await save(wire, "order-1", '{"a": 1}');
    for (const [actor, value] of [
      ["alice", 7],
      ["bob", 9],
    ] as const) {
      // The emulator has no batches: what a sidecar would write, by hand.
      const partitionKey = `orders-app||Account||${actor}`;
      await server.container.items.upsert({ id: `${partitionKey}||balance`, value, isBinary: false, partitionKey });
      const { status, text } = await ask(wire, "GET", `/v1.0/actors/Account/${actor}/state/balance`);
      assert.deepEqual([status, text], [200, String(value)]);
    }
    const [values = [], state = [], average = []] = await Promise.all((block?.text ?? "").trim().split("\n").map(run));
    assert.deepEqual(values.map(({ id, value }) => [id, value]).sort(), [
      ["orders-app||Account||alice||balance", 7],
      ["orders-app||Account||bob||balance", 9],
      ["orders-app||order-1", { a: 1 }],
    ]);
    assert.deepEqual(state, [{ id: "orders-app||Account||alice||balance", value: 7 }]);
    assert.deepEqual(average, [8]);
  });
});
