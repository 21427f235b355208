// A cluster of real nodes: keys on all masters, slots on their way, and what a transaction may hold.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { slotOf } from "#sidecar/stores/redis/slots.ts";
import type { ListPage, Store } from "#sidecar/stores/store.ts";
import { describeWithRedis, startRedis } from "#test/servers/redis.ts";
import { type RedisCluster, startRedisCluster } from "#test/servers/redis-cluster.ts";
import {
  call,
  deletion,
  etagOf,
  eventually,
  listeningLog,
  openStore,
  read,
  removal,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

const MASTERS = 3;
const RANGE = { scope: "app||", start: "app||" };

describeWithRedis("a Redis cluster", () => {
  let cluster: RedisCluster;
  let clients: Redis[] = [];
  let store: Store;

  before(async function () {
    this.timeout(400_000);
    cluster = await startRedisCluster({ masters: MASTERS });
    clients = cluster.nodes.map((_, node) => cluster.client(node));
  });
  beforeEach(async () => {
    for (const client of clients.slice(0, MASTERS)) await client.flushall();
    store = await open();
  });
  afterEach(() => store.close());
  after(async () => {
    for (const client of clients) client.disconnect();
    await cluster?.stop();
  });

  const open = (fields: Record<string, string> = {}): Promise<Store> =>
    openStore({ port: 0, fields: { redisHost: cluster.hosts, redisType: "cluster", ...fields } });
  const page = async (after: string | null, limit: number, values = false): Promise<ListPage> => {
    assert.ok(store.list !== undefined);
    return store.list({ range: RANGE, after, limit, values }, call);
  };
  async function listed(from: string | null = null, limit = 50): Promise<string[]> {
    const keys = new Set<string>();
    let after = from;
    do {
      const { rows, next } = await page(after, limit, true);
      assert.ok(rows.length <= limit);
      for (const { key } of rows) keys.add(key);
      after = next;
    } while (after !== null);
    return [...keys].toSorted();
  }
  const named = (count: number): string[] => Array.from({ length: count }, (_, index) => `app||k${index}`).toSorted();

  /** The number of the master that serves the slot of a key. */
  async function ownerOf(key: string): Promise<number> {
    for (const [node, client] of clients.entries()) {
      const outcome = await client.exists(key).catch(() => null);
      if (node < MASTERS && outcome !== null) return node;
    }
    throw new Error("nobody serves the slot");
  }

  it("has keys on every master, and reads, lists and deletes them all", async () => {
    const keys = named(300);
    await Promise.all(keys.map((key) => store.set(write(key, key), call)));
    for (const client of clients.slice(0, MASTERS)) assert.ok((await client.dbsize()) > 50);
    const found = (await store.getMany?.(keys, read, call)) ?? [];
    for (const [index, row] of found.entries()) {
      assert.ok(row !== null && !(row instanceof Error));
      assert.equal(Buffer.from(row.bytes).toString(), keys[index]);
    }
    assert.deepEqual(await listed(), keys);
    assert.equal(await store.removeListed?.(keys.slice(0, 200), call), 200);
    assert.deepEqual(await listed(), keys.slice(200).toSorted());
  });

  it("is found by one node, be it a replica, and by a list of which one is there", async () => {
    const replica = `127.0.0.1:${cluster.nodes[MASTERS]?.port}`;
    for (const redisHost of [replica, `127.0.0.1:1,${replica}`]) {
      const other = await open({ redisHost });
      for (const key of named(20)) await other.set(write(key, "1"), call);
      await other.close();
    }
    assert.equal((await listed()).length, 20);
  });

  it("refuses a transaction over several slots before anything is written, and says how keys come together", async () => {
    const changes = [upsert("app||a", "1"), upsert("app||a", "2"), deletion("app||b")];
    await assert.rejects(store.transact?.(changes, call) ?? Promise.resolve(), {
      code: "refused",
      message: /^change 3 of 3: its key .* different hash slots .* hash tag, as in "\{order-1\}-head"/,
    });
    assert.deepEqual(await listed(), []);
  });

  it("applies a transaction whose keys have one hash tag, all or nothing", async () => {
    await store.transact?.([upsert("app||{o1}-a", "1"), upsert("app||{o1}-b", "1")], call);
    const stale = [upsert("app||{o1}-a", "2"), deletion("app||{o1}-b", { etag: "9" })];
    await assert.rejects(store.transact?.(stale, call) ?? Promise.resolve(), { code: "etag-mismatch" });
    assert.deepEqual([await textOf(store, "app||{o1}-a"), await textOf(store, "app||{o1}-b")], ["1", "1"]);
  });

  it("has every strong write on the master's replica when it returns", async () => {
    for (const key of named(30)) {
      await store.set(write(key, "1", { strong: true }), call);
      const replica = clients[MASTERS + (await ownerOf(key))];
      await replica?.readonly();
      assert.equal(await replica?.hget(key, "data"), "1", key);
    }
    const two = await open({ strongAcks: "2" });
    await assert.rejects(two.set(write("app||k0", "2", { strong: true }), call), {
      code: "unknown-outcome",
      message: /only 1 of 2 replicas/,
    });
    await two.close();
  });

  describe("while a slot moves", () => {
    const keys = Array.from({ length: 40 }, (_, index) => `app||{moves}${index}`).toSorted();
    const [first = "", second = "", ...rest] = keys;
    const slot = String(slotOf(first));
    let from: number;
    let to: number;
    const ids: string[] = [];

    beforeEach(async () => {
      ids.length = 0;
      for (const client of clients) ids.push(String(await client.call("CLUSTER", "MYID")));
      from = await ownerOf(first);
      to = (from + 1) % MASTERS;
    });

    const source = (): Redis => clients[from] ?? assert.fail();
    const target = (): Redis => clients[to] ?? assert.fail();

    async function begin(): Promise<void> {
      await target().call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from] ?? "");
      await source().call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to] ?? "");
    }
    async function carry(moved: readonly string[]): Promise<void> {
      const { port = 0 } = cluster.nodes[to] ?? {};
      await source().call("MIGRATE", "127.0.0.1", String(port), "", "0", "5000", "KEYS", ...moved);
    }
    async function end(): Promise<void> {
      for (const client of [target(), source()]) await client.call("CLUSTER", "SETSLOT", slot, "NODE", ids[to] ?? "");
    }

    it("asks the node to which a key has gone, for reads, writes, deletes and transactions", async () => {
      for (const key of keys) await store.set(write(key, "1"), call);
      await begin();
      await carry([first, second]);
      assert.equal(await textOf(store, first), "1");
      await store.set(write(first, "2", { etag: "1" }), call);
      await store.set(write(second, "2", { strong: true }), call);
      await store.set(write("app||{moves}new", "1"), call);
      assert.equal(
        await source()
          .hlen("app||{moves}new")
          .catch(() => 0),
        0,
      );
      await store.transact?.([upsert(first, "3"), upsert(second, "3", { etag: "2" })], call);
      assert.deepEqual([await etagOf(store, first), await etagOf(store, second)], ["3", "3"]);
      await store.remove(removal("app||{moves}new", { etag: "1" }), call);
      assert.deepEqual(await listed(), keys);
      const parted = store.transact?.([upsert(first, "4"), upsert(rest[0] ?? "", "4")], call) ?? Promise.resolve();
      await assert.rejects(parted, { code: "unavailable", message: /asks to try again/ });
      assert.equal(await textOf(store, first), "3");
      await carry(rest);
      await end();
      assert.deepEqual(await listed(), keys);
    });

    /** All of the slot, under the stores that are open. */
    async function move(): Promise<void> {
      await begin();
      await carry(keys);
      await end();
      [from, to] = [to, from];
    }

    it("follows the slot when it has moved, with every kind of request", async () => {
      const stores = await Promise.all([open(), open(), open(), open()]);
      for (const key of keys) await store.set(write(key, "1"), call);
      await move();
      const [reading, writing, deleting, transacting] = stores;
      assert.equal(await textOf(reading ?? store, first), "1");
      await writing?.set(write(first, "2", { etag: "1", strong: true }), call);
      await transacting?.transact?.([upsert(first, "3", { etag: "2" })], call);
      await deleting?.remove(removal(first, { etag: "3" }), call);
      assert.equal(await textOf(store, first), null);
      for (const each of stores) {
        await each.ping(call);
        await each.close();
      }
    });

    for (const when of ["before its next page", "when it comes to its end"]) {
      it(`tells every key of a walk although its slot moves to a master that it has left, seen ${when}`, () =>
        walkAcrossMove(when === "before its next page"));
    }

    async function walkAcrossMove(isSeen: boolean): Promise<void> {
      const all = [...keys, ...named(100)].toSorted();
      await Promise.all(all.map((key) => store.set(write(key, "1"), call)));
      if (from < to) await move();
      const told = new Set<string>();
      let next: string | null = null;
      do {
        const { rows, next: after } = await page(next, 10);
        for (const { key } of rows) told.add(key);
        next = after;
      } while (next !== null && Number(next.split("~")[1]) <= to);
      assert.ok(next !== null && keys.every((key) => !told.has(key)));
      await move();
      const spread = next.split("~")[0];
      const isKnown = async (): Promise<void> => assert.notEqual((await page(null, 1)).next?.split("~")[0], spread);
      if (isSeen) await eventually(isKnown);
      for (const key of await listed(next)) told.add(key);
      assert.deepEqual([...told].toSorted(), all);
    }
  });

  it("says what is wrong when it is no cluster, and when a server is one", async () => {
    const alone = await startRedis();
    try {
      const fields = { redisType: "cluster" };
      await assert.rejects(openStore({ port: alone.port, fields }), {
        code: "unavailable",
        message: /redisType must be "node"/,
      });
    } finally {
      await alone.stop();
    }
    const one = await openStore({ port: cluster.nodes[0]?.port ?? 0 });
    const outcomes = await Promise.allSettled(named(20).map((key) => one.set(write(key, "1"), call)));
    const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? String(outcome.reason) : []));
    assert.ok(reasons.length > 0);
    for (const reason of reasons) assert.match(reason, /redisType must be "cluster"/);
    await one.close();
  });

  it("works as an ACL user with the rights of the docs page and those that it names for a cluster", async () => {
    const page = readFileSync(new URL("../../../../../docs/stores/redis.md", import.meta.url), "utf8");
    const [, name = "", ...rights] = /^user app on >password .*$/m.exec(page)?.[0].split(" ") ?? [];
    assert.match(page, /`\+cluster\|slots \+asking`/);
    for (const client of clients) await client.call("ACL", "SETUSER", name, ...rights, "+cluster|slots", "+asking");
    const user = await open({ redisUsername: name, redisPassword: "password" });
    const keys = Array.from({ length: 30 }, (_, index) => `orders-app||k${index}`);
    for (const key of keys) await user.set(write(key, "1", { strong: true }), call);
    const range = { scope: "orders-app||", start: "orders-app||" };
    const told = await user.list?.({ range, after: null, limit: 50, values: true }, call);
    assert.ok((told?.rows.length ?? 0) > 0);
    await user.close();
    for (const client of clients) await client.call("ACL", "DELUSER", name);
  });

  it("does not open when no node answers, and leaves nothing open", async () => {
    const fields = { redisHost: "127.0.0.1:1,127.0.0.1:2", redisType: "cluster" };
    await assert.rejects(openStore({ port: 0, fields }), {
      code: "unavailable",
      message: /127\.0\.0\.1:1: .*ECONNREFUSED/,
    });
  });

  it("warns of nothing in its ordinary life", async () => {
    const log = listeningLog();
    const quiet = await openStore({ port: 0, fields: { redisHost: cluster.hosts, redisType: "cluster" }, log });
    for (const key of named(50)) await quiet.set(write(key, "1", { strong: true }), call);
    await quiet.close();
    assert.deepEqual(log.warnings, []);
  });
});
