// What happens to requests when a server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { startImpostor } from "#test/servers/impostor.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { describeWithZooKeeper, startZooKeeper, type ZooKeeperServer } from "#test/servers/zookeeper.ts";
import {
  itLeavesWritesInDoubt,
  itRepeatsReads,
  itSaysWhereNobodyListens,
  itSharesOneConnection,
  type ThroughProxy,
} from "#test/stores/trouble.ts";
import { call, etagOf, eventually, openStore, read, textOf, upsert, write } from "./fixture.ts";

/** Twice the time of a session. */
const QUIET_MS = 9000;

describeWithZooKeeper("a ZooKeeper store in trouble", () => {
  let server: ZooKeeperServer;
  let proxy: TcpProxy;
  let store: Store;
  before(async function () {
    this.timeout(120_000);
    server = await startZooKeeper();
  });
  after(() => server.stop());
  beforeEach(async () => {
    proxy = await TcpProxy.start(server);
    store = await openStore({ servers: `127.0.0.1:${proxy.port}`, sessionTimeout: "4500ms", keyPrefixPath: "/t" });
  });
  afterEach(async () => {
    await store.close();
    await proxy.stop();
  });

  const through = (): ThroughProxy => ({ proxy, store });

  itLeavesWritesInDoubt(through, {
    product: "ZooKeeper",
    timesOf: async (store, key) => Number((await etagOf(store, key)).split("-")[0]),
    arrives: true,
  });

  itRepeatsReads(through);

  itSharesOneConnection(through, {
    product: "ZooKeeper",
    warning: /^zookeeper server fails .*cannot connect/,
    address: () => server.address,
    open: (addresses, warnings) => openStore({ servers: addresses.join(","), sessionTimeout: "4500ms" }, warnings),
  });

  it("ends in time when nothing comes back, takes a new connection, and goes on", async () => {
    await store.set(write("hang", "1"), call);
    const accepted = proxy.accepted;
    proxy.mode = "black-hole";
    const reading = assert.rejects(textOf(store, "hang"), { code: "timeout", message: /in time$/ });
    await assert.rejects(store.set(write("hang", "2"), call), { code: "timeout", message: /may have happened/ });
    await reading;
    proxy.mode = "pass";
    proxy.cut();
    await eventually(async () => assert.equal(await textOf(store, "hang"), "1"));
    assert.ok(proxy.accepted > accepted);
  });

  it("keeps its session and its connection while nobody asks for anything", async () => {
    const accepted = proxy.accepted;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    await store.ping(call);
    assert.equal(proxy.accepted, accepted);
  });

  it("finds out by itself that a silent connection is gone", async () => {
    const accepted = proxy.accepted;
    proxy.mode = "black-hole";
    // Nobody asks; the sign of life is not answered.
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    proxy.mode = "pass";
    await store.ping(call);
    assert.ok(proxy.accepted > accepted);
  });

  it("takes a new session when the old one is over", async () => {
    await store.set(write("session", "1"), call);
    proxy.mode = "refuse";
    // The server gives the session up meanwhile.
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    proxy.mode = "pass";
    await eventually(async () => assert.equal(await textOf(store, "session"), "1"));
    await store.set(write("session", "2"), call);
  });

  it("fails at once while the server is down, and says where", async () => {
    proxy.mode = "refuse";
    // The first may meet the end of the connection that there was.
    await assert.rejects(store.set(write("down", "1"), call));
    await assert.rejects(store.set(write("down", "1"), call), {
      code: "unavailable",
      message: new RegExp(`ZooKeeper at 127.0.0.1:${proxy.port}`),
    });
    proxy.mode = "pass";
    await store.set(write("down", "2"), call);
    assert.equal(await textOf(store, "down"), "2");
  });

  it("refuses a transaction that is larger than a request may be, and writes nothing", async () => {
    const changes = Array.from({ length: 3 }, (_, index) => upsert(`large-${index}`, "x".repeat(400_000)));
    await assert.rejects(async () => store.transact?.(changes, call), {
      code: "refused",
      message: /a transaction of 12\d{5} bytes, ZooKeeper takes 1048576/,
    });
    assert.equal(await textOf(store, "large-0"), null);
  });

  it("reads many large values at once", async () => {
    const keys = Array.from({ length: 6 }, (_, index) => `big-${index}`);
    for (const key of keys) await store.set(write(key, "x".repeat(1_000_000)), call);
    const rows = (await store.getMany?.(keys, read, call)) ?? [];
    assert.ok(rows.every((row) => row !== null && !(row instanceof Error) && row.bytes.length === 1_000_000));
  });

  it("says so when a node's rights keep it out", async () => {
    await store.set(write("locked", "1"), call);
    await store.set(write("sealed", "1"), call);
    await server.cli(["setAcl /t/locked world:anyone:r", "setAcl /t/sealed digest:a:b:cdrwa"]);
    await assert.rejects(store.set(write("locked", "2"), call), { code: "unavailable", message: /see its ACL/ });
    assert.equal(await textOf(store, "locked"), "1");
    const [locked, sealed] = (await store.getMany?.(["locked", "sealed"], read, call)) ?? [];
    assert.ok(locked !== null && locked !== undefined && "bytes" in locked);
    assert.ok(sealed instanceof Error && /see its ACL/.test(sealed.message));
  });

  it("asks another server first when one falls silent", async () => {
    const other = await TcpProxy.start(server);
    const servers = `127.0.0.1:${proxy.port},127.0.0.1:${other.port}`;
    const both = await openStore({ servers, sessionTimeout: "4500ms", keyPrefixPath: "/t" });
    const [used, spare] = other.accepted > 0 ? [other, proxy] : [proxy, other];
    const before = { used: used.accepted, spare: spare.accepted };
    used.mode = "black-hole";
    await assert.rejects(both.get("k", read, call), { code: "timeout" });
    await both.ping(call);
    assert.deepEqual([used.accepted, spare.accepted], [before.used, before.spare + 1]);
    await both.close();
    await other.stop();
  });
});

describeWithZooKeeper("a ZooKeeper with a quota", () => {
  it("refuses what goes beyond it, and says so", async () => {
    const java = ["-Dzookeeper.enforceQuota=true"];
    const server = await startZooKeeper({ java });
    const store = await openStore({ servers: server.address, keyPrefixPath: "/q" });
    try {
      await store.set(write("k", "1"), call);
      await server.cli(["setquota -B 20 /q"]);
      await assert.rejects(store.set(write("k", "x".repeat(100)), call), {
        code: "unavailable",
        message: /has a quota/,
      });
      assert.equal(await textOf(store, "k"), "1");
    } finally {
      await store.close();
      await server.stop();
    }
  }).timeout(120_000);
});

describe("something else than ZooKeeper behind the address", () => {
  itSaysWhereNobodyListens(
    (port) => openStore({ servers: `127.0.0.1:${port}` }),
    (port) => new RegExp(`^cannot connect to ZooKeeper at 127.0.0.1:${port}: .*ECONNREFUSED`),
  );

  for (const [what, answer, message] of [
    ["a server of another protocol", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), /does not speak ZooKeeper's/],
    ["a server that answers too little", Buffer.from([0, 0, 0, 4, 0, 0, 0, 0]), /does not speak ZooKeeper's/],
    ["a server that ends the connection", null, /it ended the connection; it has no leader/],
    ["a server that gives no session", Buffer.concat([Buffer.from([0, 0, 0, 37]), Buffer.alloc(37)]), /no session/],
  ] as const) {
    it(`is told: ${what}`, async () => {
      const impostor = await startImpostor({ answer });
      const opened = openStore({ servers: impostor.address });
      await assert.rejects(opened, { name: "StoreError", code: "unavailable", message });
      await impostor.stop();
    });
  }

  it("is told when the answers are to other questions", async () => {
    const welcome = Buffer.alloc(41);
    welcome.writeInt32BE(37, 0);
    welcome.writeInt32BE(4000, 8);
    welcome.writeInt32BE(16, 20);
    const impostor = await startImpostor({ answer: welcome });
    const opened = openStore({ servers: impostor.address });
    await assert.rejects(opened, { code: "unavailable", message: /does not speak ZooKeeper's/ });
    await impostor.stop();
  });
});
