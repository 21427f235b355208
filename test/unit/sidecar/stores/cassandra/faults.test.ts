// What happens to requests when a node or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { type CassandraCluster, describeWithOwnCassandra, startOwnCassandra } from "#test/servers/cassandra.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { itSaysWhereNobodyListens } from "#test/stores/trouble.ts";
import { call, eventually, openStore, read, removal, textOf, write } from "./fixture.ts";

describeWithOwnCassandra("a cassandra store in trouble", function (this: Mocha.Suite) {
  this.timeout(300_000);
  let cluster: CassandraCluster;
  let proxy: TcpProxy;
  before(async () => {
    cluster = await startOwnCassandra();
  });
  after(() => cluster.stop());

  const opened: Store[] = [];
  beforeEach(async () => {
    proxy = await TcpProxy.start({ host: "127.0.0.1", port: cluster.port });
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
    await proxy.stop();
  });

  async function open(more: Readonly<Record<string, string>> = {}): Promise<Store> {
    const store = await openStore({ hosts: `127.0.0.1:${proxy.port}`, consistency: "Quorum", ...more });
    opened.push(store);
    return store;
  }

  /** Resolves with the text once it can be read again. */
  const recovered = (store: Store, key: string): Promise<string | null> => eventually(() => textOf(store, key));

  for (const etags of ["false", "true"])
    it(`says that a write may have happened when the connection breaks behind it; etags: ${etags}`, async () => {
      const store = await open({ etags });
      await store.set(write("cut", "1"), call);
      proxy.mode = "cut-after-request";
      await assert.rejects(store.set(write("cut", "2"), call), {
        code: "unknown-outcome",
        message: `lost the connection to cassandra at 127.0.0.1:${proxy.port}; the write may have happened`,
      });
      proxy.mode = "pass";
      assert.equal(await recovered(store, "cut"), "2");
    });

  it("ends in time when nothing comes back, gives the connection up, and goes on", async () => {
    const store = await open();
    await store.set(write("hung", "1"), call);
    proxy.mode = "black-hole";
    const node = `cassandra at 127.0.0.1:${proxy.port}`;
    const connections = proxy.accepted;
    await Promise.all([
      assert.rejects(textOf(store, "hung"), { code: "timeout", message: `no answer from ${node} in time` }),
      assert.rejects(store.set(write("hung", "2"), call), { code: "timeout", message: /may have happened$/ }),
      assert.rejects(store.remove(removal("hung"), call), { code: "timeout", message: /may have happened$/ }),
    ]);
    proxy.mode = "pass";
    assert.equal(await recovered(store, "hung"), "1");
    assert.ok(proxy.accepted > connections);
  });

  it("fails at once while the node is down, and says which, and goes on when it is back", async () => {
    const store = await open();
    await store.set(write("down", "1"), call);
    proxy.mode = "refuse";
    await assert.rejects(store.get("down", read, call), { code: "unavailable" });
    await assert.rejects(store.set(write("down", "2"), call), {
      code: "unavailable",
      message: new RegExp(`cassandra.* 127.0.0.1:${proxy.port}`),
    });
    proxy.mode = "pass";
    assert.equal(await recovered(store, "down"), "1");
  });

  it("finds a cluster that comes back under another address of hosts", async () => {
    const other = await TcpProxy.start({ host: "127.0.0.1", port: cluster.port });
    try {
      const store = await open({ hosts: `127.0.0.1:${proxy.port},127.0.0.1:${other.port}` });
      await store.set(write("moved", "1"), call);
      // The client has connected to one of the two, and the cluster tells of no more nodes.
      const used = proxy.accepted > 0 ? proxy : other;
      used.mode = "refuse";
      assert.equal(await recovered(store, "moved"), "1");
      await store.set(write("moved", "2"), call);
      assert.equal(await textOf(store, "moved"), "2");
    } finally {
      await Promise.all(opened.splice(0).map((store) => store.close()));
      await other.stop();
    }
  });

  it("leaves no connection behind after outages, and none after a close in the middle of one", async () => {
    const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => /^TCPSocket/.test(kind)).length;
    const before = sockets();
    const store = await open();
    await store.set(write("outages", "1"), call);
    const connected = sockets();
    for (let outage = 0; outage < 3; outage++) {
      proxy.mode = "refuse";
      await assert.rejects(textOf(store, "outages"));
      await new Promise((resolve) => setTimeout(resolve, 300));
      proxy.mode = "pass";
      assert.equal(await recovered(store, "outages"), "1");
      await eventually(async () => assert.ok(sockets() <= connected, `${sockets()} sockets, ${connected} before`));
    }
    proxy.mode = "refuse";
    await assert.rejects(textOf(store, "outages"));
    const closed = store.close();
    proxy.mode = "pass";
    await closed;
    await new Promise((resolve) => setTimeout(resolve, 300));
    await eventually(async () => assert.ok(sockets() <= before, `${sockets()} sockets, ${before} before`));
  });

  itSaysWhereNobodyListens(
    (port) => openStore({ hosts: `127.0.0.1:${port}` }),
    (port) => `cannot reach cassandra at 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
  );

  it("does not open for a data center that the cluster does not have", async () => {
    await assert.rejects(open({ localDataCenter: "elsewhere" }), { code: "unavailable", message: /elsewhere/ });
    const store = await open({ localDataCenter: "datacenter1" });
    await store.ping(call);
  });

  it("speaks the protocol that it is told to, and says so where the nodes do not", async () => {
    for (const protoVersion of ["0", "3", "5"]) {
      const store = await open({ protoVersion });
      await store.set(write("protocol", protoVersion, { ttlSec: 100 }), call);
      assert.equal(await textOf(store, "protocol"), protoVersion);
    }
    await assert.rejects(open({ protoVersion: "1" }), { code: "unavailable", message: /protocol version/i });
  });

  it("writes nothing where the consistency needs more nodes than there are, and says how many", async () => {
    const store = await open({ consistency: "Two" });
    const few = { code: "unavailable", message: /knows 1 of 2 replicas alive that it needs for Two$/ };
    await assert.rejects(store.set(write("few", "1"), call), few);
    await assert.rejects(store.get("few", read, call), few);
    assert.equal(await textOf(await open(), "few"), null);
  });

  for (const etags of ["false", "true"])
    it(`refuses a value that is too large for the node, and writes nothing; etags: ${etags}`, async () => {
      const store = await open({ etags });
      const key = `large-${etags}`;
      // The node's segments are of 4 MiB, and a write has half of one.
      const most = 2 * 1024 * 1024;
      for (const bytes of [most, 17 * 1024 * 1024])
        await assert.rejects(store.set(write(key, "x".repeat(bytes)), call), {
          code: "refused",
          message: /value|request/,
        });
      assert.equal((await textOf(store, key))?.length ?? null, null);
      await store.set(write(key, "x".repeat(most - 5000)), call);
      assert.equal((await textOf(store, key))?.length, most - 5000);
    });

  it("says so when its table is gone", async () => {
    const store = await open({ table: "gone" });
    const other = cluster.openClient();
    await other.execute("DROP TABLE dapr.gone", [], { prepare: false });
    await other.shutdown();
    for (let turn = 0; turn < 2; turn++)
      await assert.rejects(store.set(write("k", "1"), call), { code: "unavailable", message: /has lost the table/ });
  });
});
