// What happens to requests when a server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithEtcd, type EtcdServer, startEtcd, startEtcdCluster } from "#test/servers/etcd.ts";
import { freePort } from "#test/servers/free-port.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { listeningLog, open as openLogged } from "#test/stores/opening.ts";
import {
  itLeavesWritesInDoubt,
  itRepeatsReads,
  itSaysWhereNobodyListens,
  type ThroughProxy,
} from "#test/stores/trouble.ts";
import {
  call,
  eventually,
  onOneServer,
  openStore,
  prepare,
  rawGet,
  read,
  removal,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

describeWithEtcd("an etcd store in trouble", () => {
  const { server, keep, open } = onOneServer();

  async function throughProxy(): Promise<ThroughProxy> {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    const store = await open("v1", { endpoints: `127.0.0.1:${proxy.port}` });
    return { proxy, store };
  }

  itSaysWhereNobodyListens(
    (port) => openStore("v1", { endpoints: `127.0.0.1:${port}` }),
    (port) => `cannot connect to etcd at 127.0.0.1:${port}: ECONNREFUSED`,
  );

  it("does not open on a server that hangs, and ends when its time is up", async () => {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    proxy.mode = "black-hole";
    const opened = openStore("v1", { endpoints: `127.0.0.1:${proxy.port}` }, AbortSignal.timeout(200));
    await assert.rejects(opened, { code: "timeout" });
  });

  itLeavesWritesInDoubt(throughProxy, {
    product: "etcd",
    timesOf: async (_store, key) => Number((await rawGet(server(), `/${key}`))?.modRevision),
    // A request is several pieces, and the first may be all that came through.
    arrives: false,
  });

  itRepeatsReads(throughProxy);

  it("ends in time when nothing comes back, takes a new connection, and goes on", async function () {
    this.timeout(120_000);
    const { proxy, store } = await throughProxy();
    await store.set(write("hang", "1"), call);
    const accepted = proxy.accepted;
    proxy.mode = "black-hole";
    await assert.rejects(store.set(write("hang", "2"), call), { code: "timeout", message: /may have happened/ });
    proxy.mode = "pass";
    await eventually(async () => assert.equal(await textOf(store, "hang"), "1"));
    assert.ok(proxy.accepted > accepted);
  });

  it("asks a server that hangs once, where there is no other", async () => {
    const { proxy, store } = await throughProxy();
    const accepted = proxy.accepted;
    proxy.mode = "black-hole";
    await assert.rejects(store.get("k", read, call), { code: "timeout", message: /^no answer from etcd at [^;]*$/ });
    // What hangs loses its connection: to ask again would have taken another one.
    assert.equal(proxy.accepted, accepted);
  }).timeout(120_000);

  it("says in the log once that a server fails, until it answers again, and never while it opens", async () => {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    const endpoints = `127.0.0.1:${proxy.port}`;
    const warnings: string[] = [];
    const opening = { log: listeningLog(warnings) };
    proxy.mode = "refuse";
    for (let turn = 0; turn < 2; turn++) await assert.rejects(openLogged(prepare("v1", { endpoints }), opening));
    assert.deepEqual(warnings, []);
    proxy.mode = "pass";
    const store = await openLogged(prepare("v1", { endpoints }), opening);
    keep(store, () => store.close());
    for (const outages of [1, 2]) {
      proxy.mode = "refuse";
      for (let turn = 0; turn < 3; turn++) await assert.rejects(store.ping(call));
      assert.equal(warnings.length, outages, warnings.join("\n"));
      proxy.mode = "pass";
      await eventually(() => store.ping(call));
    }
    assert.match(warnings.join(), /^etcd server fails/);
  }).timeout(120_000);

  it("tells of a server that was away when it opened beside another", async () => {
    const away = `127.0.0.1:${await freePort()}`;
    const warnings: string[] = [];
    const both = prepare("v1", { endpoints: `${away},${server().address}` });
    await (await openLogged(both, { log: listeningLog(warnings) })).close();
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /^etcd server fails .*ECONNREFUSED/);
  });

  it("refuses a request that the server finds too large, and writes nothing", async () => {
    const store = await open("v1");
    const large = `"${"x".repeat(1_600_000)}"`;
    await assert.rejects(store.set(write("large", large), call), { code: "refused", message: /--max-request-bytes/ });
    await assert.rejects(store.set(write("large", `"${"x".repeat(4_000_000)}"`), call), { code: "refused" });
    assert.equal(await textOf(store, "large"), null);
  });

  it("refuses a transaction that the server finds too long, and says which setting to change", async () => {
    const store = await open("v1", { maxTxnOps: "1000" });
    const changes = Array.from({ length: 129 }, (_, index) => upsert(`long-${index}`, "1"));
    await assert.rejects(async () => store.transact?.(changes, call), { code: "refused", message: /maxTxnOps/ });
    assert.equal(await textOf(store, "long-0"), null);
  });

  it("reads more than gRPC's usual four mebibytes at once", async () => {
    const store = await open("v1");
    const keys = Array.from({ length: 6 }, (_, index) => `big-${index}`);
    for (const key of keys) await store.set(write(key, "x".repeat(1_000_000)), call);
    const rows = (await store.getMany?.(keys, read, call)) ?? [];
    assert.ok(rows.every((row) => row !== null && !(row instanceof Error) && row.bytes.length === 1_000_000));
  });
});

/** Half a mebibyte each, of which the server counts only what it has written to its file by then. */
const FILLERS = 60;

/** What its operator does about it: compact, defragment, disarm. */
async function freeSpace(server: EtcdServer): Promise<void> {
  const { header } = await server.gateway("/v3/kv/range", { key: Buffer.from("/").toString("base64") });
  assert.ok(typeof header === "object" && header !== null && "revision" in header && "member_id" in header);
  await server.gateway("/v3/kv/compaction", { revision: header.revision, physical: true });
  await server.gateway("/v3/maintenance/defragment", {});
  await server.gateway("/v3/maintenance/alarm", { action: "DEACTIVATE", alarm: "NOSPACE", memberID: header.member_id });
}

describeWithEtcd("an etcd server whose space is used up", () => {
  let server: EtcdServer;
  let store: Store;

  before(async () => {
    server = await startEtcd({ args: ["--quota-backend-bytes", String(2 * 1024 * 1024)] });
    store = await openStore("v2", { endpoints: server.address });
  });
  after(async () => {
    await store.close();
    await server.stop();
  });

  it("says so, still answers reads, and takes writes again when it has been freed", async () => {
    await store.set(write("kept", "1"), call);
    // At once, so that the server takes more than it has space for before it counts.
    const fillers = Array.from({ length: FILLERS }, (_, index) => write(`fill-${index}`, "x".repeat(500_000)));
    await Promise.allSettled(fillers.map((filler) => store.set(filler, call)));
    const full = { code: "unavailable", message: /has no space left; compact it/ };
    await eventually(() => assert.rejects(store.set(write("kept", "1"), call), full));
    await assert.rejects(store.set(write("kept", "2"), call), { code: "unavailable" });
    await assert.rejects(store.set(write("kept", "2", { ttlSec: 60 }), call), { code: "unavailable" });
    assert.equal(await textOf(store, "kept"), "1");
    const [kept, none] = (await store.getMany?.(["kept", "none"], read, call)) ?? [];
    assert.ok(kept !== null && !(kept instanceof Error) && none === null);
    const found = await store.get("fill-2", read, call);
    await store.remove(removal("fill-2", { etag: found?.etag ?? null }), call);
    assert.equal(await store.removeListed?.(["fill-0", "fill-1", "none"], call), 2);
    for (let index = 0; index < FILLERS; index++) await store.remove(removal(`fill-${index}`), call);
    await freeSpace(server);
    await eventually(() => store.set(write("kept", "2"), call));
    assert.equal(await textOf(store, "kept"), "2");
  });
});

describeWithEtcd("a cluster of three etcd servers", () => {
  let servers: readonly EtcdServer[];
  let store: Store;

  beforeEach(async function () {
    this.timeout(120_000);
    servers = await startEtcdCluster(3);
    store = await openStore("v1", { endpoints: servers.map(({ address }) => address).join(",") });
  });
  afterEach(async () => {
    await store.close();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it("is served by the others when the server in use is killed", async () => {
    const [first, second] = servers;
    await store.set(write("k", "1"), call);
    await first?.kill9();
    await eventually(() => store.set(write("k", "2"), call));
    assert.equal(await textOf(store, "k"), "2");
    await second?.kill9();
    await assert.rejects(store.set(write("k", "3"), { signal: AbortSignal.timeout(3_000) }));
    await second?.restart();
    await eventually(async () => assert.match((await textOf(store, "k")) ?? "", /^[23]$/));
  }).timeout(120_000);

  it("is served by the others while the server in use hangs", async () => {
    const [first] = servers;
    await store.set(write("k", "1"), call);
    first?.pause();
    try {
      // The first read waits until its time is up, and goes on elsewhere by itself.
      assert.equal(await textOf(store, "k"), "1");
      await eventually(() => store.set(write("k", "2"), call));
    } finally {
      first?.resume();
    }
  }).timeout(120_000);
});
