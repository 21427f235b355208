// What a server that is, or has become, a read-only replica does to requests: its data may be stale and decide nothing.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import {
  call,
  deletion,
  eventually,
  onServersOfItsOwn,
  plainClient,
  removal,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

/** Of a field of INFO; below all others when it is not there. */
function offsetIn(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? -1);
}

const READONLY = { code: "unavailable", message: /read-only replica; redisHost must name the master/ };

describeWithRedis("a Redis store on a replica", () => {
  const { start, open, keep } = onServersOfItsOwn();

  /** A master behind a proxy that counts connections, and what turns it into a replica of a server with the same data. */
  async function demotable(): Promise<{ proxy: TcpProxy; store: Store; client: Redis; demote(): Promise<void> }> {
    const server = await start();
    const other = await start({ args: ["--replicaof", "127.0.0.1", String(server.port)] });
    const proxy = await TcpProxy.start(server);
    keep(proxy, () => proxy.stop());
    const [client, promoted] = [server, other].map(({ port }) => {
      const plain = plainClient(port);
      return keep(plain, async () => plain.disconnect());
    });
    assert.ok(client !== undefined && promoted !== undefined);
    const demote = async (): Promise<void> => {
      // By the replica's word: the master calls it online while it still loads, and one that is promoted then has nothing.
      const written = offsetIn(await client.info("replication"), "master_repl_offset");
      await eventually(async () => {
        const info = await promoted.info("replication");
        assert.match(info, /master_link_status:up/);
        assert.ok(offsetIn(info, "slave_repl_offset") >= written);
      });
      await promoted.replicaof("NO", "ONE");
      await client.replicaof("127.0.0.1", other.port);
      await eventually(async () => assert.match(await client.info("replication"), /master_link_status:up/));
    };
    return { proxy, store: await open(proxy.port), client, demote };
  }

  it("tells a read-only replica from a master: reads work, writes say what to do", async () => {
    const master = await start();
    const replica = await start({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
    const store = await open(replica.port);
    const toMaster = await open(master.port);
    await toMaster.set(write("k", "1"), call);
    await eventually(async () => assert.equal(await textOf(store, "k"), "1"));
    await assert.rejects(store.set(write("k", "2"), call), READONLY);
    await assert.rejects(store.remove(removal("k"), call), READONLY);
    await assert.rejects(store.transact?.([upsert("k", "2")], call) ?? Promise.resolve(), READONLY);
    assert.equal(await textOf(store, "k"), "1");
  });

  it("takes a new connection when its server has become a replica", async () => {
    const { proxy, store, client, demote } = await demotable();
    await demote();
    const before = proxy.accepted;
    await assert.rejects(store.set(write("k", "1"), call), { code: "unavailable" });
    await eventually(async () => assert.ok(proxy.accepted > before));
    await client.replicaof("NO", "ONE");
    await store.set(write("k", "1"), call);
  });

  const conditions: [what: string, attempt: (store: Store) => Promise<void> | undefined][] = [
    ["a save with another ETag", (store) => store.set(write("k", "2", { etag: "9" }), call)],
    ["a strong save with another ETag", (store) => store.set(write("k", "2", { etag: "9", strong: true }), call)],
    ["a save with an ETag on nothing", (store) => store.set(write("none", "2", { etag: "1" }), call)],
    ["a first write", (store) => store.set(write("k", "2", { firstWrite: true }), call)],
    ["a save with an ETag on a string", (store) => store.set(write("string", "2", { etag: "1" }), call)],
    ["a save over a version that is no counter", (store) => store.set(write("odd", "2"), call)],
    ["a delete with another ETag", (store) => store.remove(removal("k", { etag: "9" }), call)],
    ["a delete with an ETag on nothing", (store) => store.remove(removal("none", { etag: "1" }), call)],
    ["a transaction", (store) => store.transact?.([upsert("l", "1"), deletion("k", { etag: "9" })], call)],
  ];
  it("does not decide a condition from a replica's data", async () => {
    const { store, client, demote } = await demotable();
    await store.set(write("k", "1"), call);
    await client.set("string", "old");
    await client.hset("odd", "data", "1", "version", "x");
    await demote();
    for (const [what, attempt] of conditions) {
      await assert.rejects(attempt(store) ?? Promise.resolve(), READONLY, what);
    }
    assert.equal(await textOf(store, "k"), "1");
  });

  it("takes a new connection when a condition fails on a server that has become a replica", async () => {
    const { proxy, store, client, demote } = await demotable();
    await store.set(write("k", "1"), call);
    await demote();
    const before = proxy.accepted;
    await assert.rejects(store.set(write("k", "2", { etag: "9" }), call), READONLY);
    await eventually(async () => assert.ok(proxy.accepted > before));
    await client.replicaof("NO", "ONE");
    await assert.rejects(store.set(write("k", "2", { etag: "9" }), call), { code: "etag-mismatch" });
  });

  it("leaves value, version and expiry alone when a condition fails on the master", async () => {
    const { store, client } = await demotable();
    await store.set(write("k", "1", { ttlSec: 100 }), call);
    const before = [await client.hgetall("k"), await client.pexpiretime("k")];
    for (const [what, attempt] of conditions.slice(0, 4)) {
      await assert.rejects(attempt(store) ?? Promise.resolve(), { code: "etag-mismatch" }, what);
    }
    await assert.rejects(store.remove(removal("k", { etag: "9" }), call), { code: "etag-mismatch" });
    assert.deepEqual([await client.hgetall("k"), await client.pexpiretime("k")], before);
    assert.equal(await client.exists("none"), 0);
  });
});
