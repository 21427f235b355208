// What the page of state.zookeeper shows for looking into the store: the commands as printed there, in ZooKeeper's own
// client, against what a sidecar has written.
import assert from "node:assert/strict";
import { describeWithZooKeeper, startZooKeeper } from "#test/servers/zookeeper.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

describeWithZooKeeper("a look into ZooKeeper", () => {
  it("shows one value, all keys, and the state of an actor", async function () {
    this.timeout(120_000);
    const [block, ...more] = readPage("docs/stores/zookeeper.md").blocks.filter(({ language }) => language === "sh");
    assert.deepEqual([block !== undefined, more], [true, []]);
    const commands = (block?.text ?? "").trim().split("\n");
    assert.ok(commands.every((command) => command.startsWith("zkCli.sh ")));
    const server = await startZooKeeper();
    const metadata = { servers: server.address, sessionTimeout: "4s", keyPrefixPath: "/dapr", actorStateStore: "true" };
    const manifest = component("statestore", "state.zookeeper", metadata);
    const wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "orders-app" } });
    try {
      await save(wire, "order-1", '{"a": 1}');
      const actor = [{ operation: "upsert", request: { key: "balance", value: 7 } }];
      assert.equal((await ask(wire, "POST", "/v1.0/actors/Account/alice/state", actor)).status, 204);
      const [value, keys, ...state] = await server.cli(commands.map((command) => command.slice("zkCli.sh ".length)));
      assert.equal(value, '{"a": 1}');
      assert.deepEqual((keys ?? "").slice(1, -1).split(", ").toSorted(), [
        "orders-app||Account||alice||balance",
        "orders-app||order-1",
      ]);
      assert.deepEqual([state[0], state.includes("dataVersion = 0")], ["7", true]);
    } finally {
      await wire.stop();
      await server.stop();
    }
  });
});
