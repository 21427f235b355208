// Strong writes with real replicas.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { call, eventually, openStore, plainClient, removal, textOf, upsert, write } from "./fixture.ts";

describeWithRedis("a strong write to Redis", () => {
  let master: RedisServer;
  let replica: RedisServer;
  let plain: Redis;
  let behind: Redis;
  const stores: Store[] = [];

  before(async () => {
    master = await startRedis();
    replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
    plain = plainClient(master.port);
    behind = plainClient(replica.port);
    await online(1);
  });
  afterEach(async () => {
    replica.resume();
    for (const store of stores.splice(0)) await store.close();
  });
  after(async () => {
    plain?.disconnect();
    behind?.disconnect();
    await replica?.stop();
    await master?.stop();
  });

  async function open(fields: Record<string, string> = {}): Promise<Store> {
    const store = await openStore({ port: master.port, fields });
    stores.push(store);
    return store;
  }

  function online(count: number): Promise<void> {
    return eventually(async () => {
      const info = await plain.info("replication");
      assert.equal(info.split("state=online").length - 1, count);
    });
  }

  it("is on the connected replica when it returns", async () => {
    const store = await open();
    for (let round = 0; round < 20; round++) {
      await store.set(write("k", `${round}`, { strong: true }), call);
      assert.equal(await behind.hget("k", "data"), `${round}`);
    }
    await store.remove(removal("k", { strong: true }), call);
    assert.equal(await behind.exists("k"), 0);
    await store.transact?.([upsert("a", "1"), upsert("b", "2", { strong: true })], call);
    assert.equal(await behind.hget("a", "data"), "1");
  });

  it("says that it was applied and may be lost when fewer replicas have it than strongAcks asks for", async () => {
    const store = await open({ strongAcks: "2" });
    const unsure = {
      name: "StoreError",
      code: "unknown-outcome",
      message: /was applied.* only 1 of 2 replicas.*may be lost/,
    };
    await assert.rejects(store.set(write("k", "two", { strong: true }), call), unsure);
    assert.equal(await textOf(store, "k"), "two");
    await assert.rejects(store.remove(removal("k", { strong: true }), call), unsure);
    await assert.rejects(store.transact?.([upsert("t", "1", { strong: true })], call) ?? Promise.resolve(), unsure);
  });

  it("says so when the connected replica hangs", async () => {
    const store = await open();
    await store.set(write("k", "before", { strong: true }), call);
    replica.pause();
    await assert.rejects(store.set(write("k", "after", { strong: true }), call), {
      code: "unknown-outcome",
      message: /only 0 of 1 replicas/,
    });
    assert.equal(await textOf(store, "k"), "after");
  });

  it("waits for nobody when its condition fails", async () => {
    const store = await open({ strongAcks: "2" });
    await plain.del("k");
    await assert.rejects(store.set(write("k", "1", { strong: true, etag: "1" }), call), { code: "etag-mismatch" });
  });

  it("does not hold up other requests while it waits", async () => {
    const store = await open({ strongAcks: "2" });
    const order: string[] = [];
    const slow = store.set(write("slow", "1", { strong: true }), call).catch(() => order.push("strong"));
    await store.set(write("quick", "1"), call);
    assert.equal(await textOf(store, "quick"), "1");
    order.push("plain");
    await slow;
    assert.deepEqual(order, ["plain", "strong"]);
  });

  it("asks no replica when strongAcks is 0", async () => {
    const store = await open({ strongAcks: "0" });
    replica.pause();
    await store.set(write("k", "1", { strong: true }), call);
  });

  it("uses a bounded number of connections, and turns away what waits too long for one", async () => {
    const store = await open({ strongAcks: "2" });
    const writes = Array.from({ length: 40 }, (_, index) => store.set(write(`k${index}`, "1", { strong: true }), call));
    const codes = await Promise.all(writes.map((each) => each.catch((error: { code: string }) => error.code)));
    const clients = (await plain.client("LIST")) as string;
    assert.equal(clients.split("name=pannier-test").length - 1, 9);
    assert.ok(codes.includes("unknown-outcome"));
    assert.ok(codes.includes("unavailable"));
    assert.ok(codes.every((code) => code === "unknown-outcome" || code === "unavailable"));
  });

  it("has every connection to give again after many have given up waiting for one", async () => {
    const store = await open({ strongAcks: "2" });
    const outcomes = Array.from({ length: 1_100 }, (_, index) =>
      store.set(write(`k${index}`, "1", { strong: true }), call).catch((error: Error) => error.message),
    );
    const messages = (await Promise.all(outcomes)).map(String);
    // 8 write, 1,000 wait for them.
    assert.equal(messages.filter((message) => message.endsWith("too many wait")).length, 92);
    assert.ok(messages.filter((message) => /none came free within 1000 ms$/.test(message)).length >= 8);
    const unsure = { code: "unknown-outcome" };
    await Promise.all(
      Array.from({ length: 8 }, () => assert.rejects(store.set(write("k", "1", { strong: true }), call), unsure)),
    );
  });

  it("does not count a replica that is still being copied to", async () => {
    const source = await startRedis({ args: ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "3600"] });
    const copy = await startRedis({ args: ["--replicaof", "127.0.0.1", String(source.port)] });
    const client = plainClient(source.port);
    try {
      await eventually(async () => assert.match(await client.info("replication"), /slave0:.*state=wait_bgsave/));
      const store = await openStore({ port: source.port });
      stores.push(store);
      await store.set(write("k", "1", { strong: true }), call);
    } finally {
      client.disconnect();
      await copy.stop();
      await source.stop();
    }
  });

  it("goes over the shared connection while no replica is connected, and sees one that comes", async () => {
    const alone = await startRedis();
    const store = await openStore({ port: alone.port });
    stores.push(store);
    const client = plainClient(alone.port);
    let late: RedisServer | null = null;
    try {
      for (let round = 0; round < 50; round++) await store.set(write("k", `${round}`, { strong: true }), call);
      const info = await client.info("commandstats");
      const asked = Number(/cmdstat_info:calls=(\d+)/.exec(info)?.[1] ?? "0");
      assert.ok(asked < 10, `INFO ran ${asked} times`);
      late = await startRedis({ args: ["--replicaof", "127.0.0.1", String(alone.port)] });
      await eventually(async () => assert.match(await client.info("replication"), /state=online/));
      await eventually(async () => {
        await store.set(write("k", "late", { strong: true }), call);
        assert.match(await client.info("commandstats"), /cmdstat_wait:calls=/);
      });
    } finally {
      client.disconnect();
      await late?.stop();
      await store.close();
      await alone.stop();
    }
  });
});
