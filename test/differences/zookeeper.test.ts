// The rows of docs/differences.md that show on ZooKeeper, over HTTP against a real server.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { JuteWriter } from "#sidecar/stores/zookeeper/jute.ts";
import { CODE } from "#sidecar/stores/zookeeper/messages.ts";
import { Session } from "#sidecar/stores/zookeeper/session.ts";
import { describeWithZooKeeper, startZooKeeper, type ZooKeeperServer } from "#test/servers/zookeeper.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithZooKeeper("differences on ZooKeeper", () => {
  let server: ZooKeeperServer;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(120_000);
    server = await startZooKeeper();
    const common = { servers: server.address, sessionTimeout: "4s" };
    const below = component("statestore", "state.zookeeper", { ...common, keyPrefixPath: "/not/there" });
    const root = component("root", "state.zookeeper", common);
    wire = await startWire({ manifests: { "a.yaml": below, "b.yaml": root }, settings: { appId: "app" } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  const put = async (item: object): Promise<number> => (await ask(wire, "POST", STORE, [item])).status;
  const textOf = async (key: string): Promise<string> =>
    (await ask(wire, "GET", `${STORE}/${encodeURIComponent(key)}`)).text;
  const etagOf = async (key: string): Promise<string> =>
    String((await ask(wire, "GET", `${STORE}/${encodeURIComponent(key)}`)).headers.etag);

  it("ZK1: a key that has no node yet can be written", async () => {
    await save(wire, "zk1", "1");
    assert.equal(await textOf("zk1"), "1");
    // What Dapr's driver asks for: a node without rights.
    const log = createLog({
      level: "fatal",
      json: false,
      appId: "",
      instance: "",
      version: "",
      write: () => undefined,
      nowMs: () => 0,
    });
    const servers = [{ host: server.host, port: server.port, name: server.address }];
    const session = new Session({ servers, timeoutMs: 4000, clock: systemClock, random: systemRandom, log });
    const frame = new JuteWriter().int(0).int(1).text("/zk1").buffer(Buffer.from("1")).int(0).int(0).finish();
    const [reply] = await session.exchange([{ frame, isWrite: true }], new AbortController().signal);
    assert.equal(reply?.code, CODE.invalidAcl);
    await session.close();
  });

  it("ZK2: an ETag counts whatever comes with it", async () => {
    await save(wire, "zk2", "1");
    const etag = await etagOf("zk2");
    await save(wire, "zk2", "2");
    const options = { concurrency: "last-write" };
    assert.equal(await put({ key: "zk2", value: 3, etag, options }), 409);
    assert.equal(await put({ key: "zk2", value: 3, etag: "no-number" }), 409);
    assert.equal(await put({ key: "zk2-gone", value: 3, etag }), 409);
    assert.deepEqual([await textOf("zk2"), await textOf("zk2-gone")], ["2", ""]);
  });

  it("ZK3: an ETag does not fit a value that was deleted and made again", async () => {
    await save(wire, "zk3", "1");
    const etag = await etagOf("zk3");
    await ask(wire, "DELETE", `${STORE}/zk3`);
    await save(wire, "zk3", "2");
    assert.equal((await etagOf("zk3")).split("-")[0], etag.split("-")[0]);
    assert.equal(await put({ key: "zk3", value: 3, etag }), 409);
    // The version alone is what Dapr gives out.
    assert.equal(await put({ key: "zk3", value: 3, etag: "0" }), 409);
  });

  it("ZK4: a failure that is no conflict is none, also with an ETag", async () => {
    await save(wire, "zk4", "1");
    const etag = await etagOf("zk4");
    await server.cli(["setAcl /not/there/app||zk4 world:anyone:r"]);
    assert.equal(await put({ key: "zk4", value: 2, etag }), 500);
  });

  it("ZK5: first-write counts", async () => {
    const first = { key: "zk5", value: 1, options: { concurrency: "first-write" } };
    assert.deepEqual([await put(first), await put(first)], [204, 409]);
  });

  it("ZK6: there are transactions", async () => {
    const operations = ["zk6-a", "zk6-b"].map((key) => ({ operation: "upsert", request: { key, value: 1 } }));
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations })).status, 204);
    const stale = { operation: "upsert", request: { key: "zk6-b", value: 2, etag: "0-0" } };
    const both = [{ operation: "delete", request: { key: "zk6-a" } }, stale];
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations: both })).status, 409);
    assert.equal(await textOf("zk6-a"), "1");
  });

  it("ZK7: every key has a node of its own", async () => {
    const keys = ["zk7/a/b", "zk7/a//b", "zk7/./a/b", "zk7/a/x/../b", "zk7/\u{1f9fa}", "zk7/a\nb", "zk7"];
    for (const key of keys) assert.equal(await put({ key, value: key }), 204);
    for (const key of keys) assert.equal(await textOf(key), JSON.stringify(key));
  });

  it("ZK8: the prefix is made when it is needed, and may be the root", async () => {
    await save(wire, "zk8", "1");
    await save(wire, "zk8", "2", "/v1.0/state/root");
    assert.deepEqual(await server.cli(["get /not/there/app||zk8", "get /app||zk8"]), ["1", "2"]);
  });

  it("ZK9: a key with others below it can be deleted", async () => {
    await save(wire, "zk9", "1");
    await save(wire, "zk9/below", "2");
    assert.equal((await ask(wire, "DELETE", `${STORE}/zk9`)).status, 204);
    assert.deepEqual([await textOf("zk9"), await textOf("zk9/below")], ["", "2"]);
  });
});
