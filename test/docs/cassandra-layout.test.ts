// What the page of state.cassandra shows for looking into the store: each statement as printed there, run by a client of its
// own, against what a sidecar has written.
import assert from "node:assert/strict";
import type { Client } from "cassandra-driver";
import { type CassandraCluster, describeWithOwnCassandra, startOwnCassandra } from "#test/servers/cassandra.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

describeWithOwnCassandra("a look into Cassandra", function (this: Mocha.Suite) {
  this.timeout(300_000);
  let cluster: CassandraCluster;
  let wire: WireSidecar;
  let client: Client;

  before(async () => {
    cluster = await startOwnCassandra();
    const metadata = { hosts: cluster.hosts, port: String(cluster.port), actorStateStore: "true", etags: "true" };
    const manifest = component("statestore", "state.cassandra", metadata);
    wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "orders-app" } });
    client = cluster.openClient();
  });
  after(async () => {
    await client.shutdown();
    await wire.stop();
    await cluster.stop();
  });

  it("shows one value, the keys of an app, and the state of an actor", async () => {
    const [block, ...more] = readPage("docs/stores/cassandra.md").blocks.filter(({ language }) => language === "cql");
    assert.deepEqual([block !== undefined, more], [true, []]);
    await save(wire, "order-1", '{"a": 1}');
    await client.execute("INSERT INTO dapr.items (key, value) VALUES ('orders-app-2||order-1', 0x31)");
    const { text, status } = await ask(wire, "POST", "/v1.0/state/statestore", [{ key: "order-2", value: 2 }]);
    assert.equal(status, 204, text);
    const insert = "INSERT INTO dapr.items (key, value) VALUES ('orders-app||Account||alice||balance', 0x37)";
    await client.execute(insert);
    const statements = (block?.text ?? "").trim().split("\n");
    const [value, keys, state] = await Promise.all(
      statements.map(async (statement) => (await client.execute(statement)).rows.map((row) => row.values())),
    );
    assert.deepEqual(value, [['{"a": 1}', null]]);
    assert.deepEqual(keys?.flat().sort(), [
      "orders-app||Account||alice||balance",
      "orders-app||order-1",
      "orders-app||order-2",
    ]);
    assert.deepEqual(state, [["orders-app||Account||alice||balance", "7"]]);
  });
});
