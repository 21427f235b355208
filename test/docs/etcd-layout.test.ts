// What the page of state.etcd shows for looking into the store: each command as printed there, asked of the server's own
// gateway, against what a sidecar has written.
import assert from "node:assert/strict";
import { describeWithEtcd, type EtcdServer, startEtcd } from "#test/servers/etcd.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

/** `etcdctl get [--prefix] [--keys-only] 'NAME'`. */
const COMMAND = /^etcdctl get( --prefix)?( --keys-only)? '([^']+)'$/;

describeWithEtcd("a look into etcd", () => {
  let server: EtcdServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startEtcd();
    const metadata = { endpoints: server.address, keyPrefixPath: "dapr", actorStateStore: "true" };
    const manifest = component("statestore", "state.etcd", metadata);
    wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "orders-app" } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  /** Names and values as the command prints them. */
  async function run(command: string): Promise<readonly (readonly [name: string, value: string])[]> {
    const [, prefix, keysOnly, name = ""] = COMMAND.exec(command) ?? [];
    const key = Buffer.from(name);
    const end = Buffer.from(key);
    end[end.length - 1] = (end.at(-1) ?? 0) + 1;
    const range = prefix === undefined ? {} : { range_end: end.toString("base64") };
    const body = { key: key.toString("base64"), ...range, keys_only: keysOnly !== undefined };
    const { kvs } = await server.gateway("/v3/kv/range", body);
    const text = (base64 = ""): string => Buffer.from(base64, "base64").toString();
    return (Array.isArray(kvs) ? kvs : []).map((row) => [text(row.key), text(row.value)] as const);
  }

  it("shows one value, the keys of an app, and the state of an actor", async () => {
    const [block, ...more] = readPage("docs/stores/etcd.md").blocks.filter(({ language }) => language === "sh");
    assert.deepEqual([block !== undefined, more], [true, []]);
    const commands = (block?.text ?? "").trim().split("\n");
    assert.ok(
      commands.every((command) => COMMAND.test(command)),
      commands.join(),
    );
    await save(wire, "order-1", '{"a": 1}');
    const actor = [{ operation: "upsert", request: { key: "balance", value: 7 } }];
    await ask(wire, "POST", "/v1.0/actors/Account/alice/state", actor);
    const [value, keys, state] = await Promise.all(commands.map(run));
    assert.deepEqual(value, [["dapr/orders-app||order-1", '{"a": 1}']]);
    assert.deepEqual(keys, [
      ["dapr/orders-app||Account||alice||balance", ""],
      ["dapr/orders-app||order-1", ""],
    ]);
    assert.deepEqual(state, [["dapr/orders-app||Account||alice||balance", "7"]]);
  });
});
