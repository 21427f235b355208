// JSON documents where rights are missing, in a cluster and after a crash; and what rows that are none cost beside them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { ListPage, Store, Write } from "#sidecar/stores/store.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { startRedisCluster } from "#test/servers/redis-cluster.ts";
import { describeWithRedisStack, redisStack } from "#test/servers/redis-stack.ts";
import {
  call,
  deletion,
  etagOf,
  onServersOfItsOwn,
  openStore,
  plainClient,
  read,
  removal,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

const JSON_TYPE = { contentType: "application/json" };

function asDocument(more: Partial<Write> = {}): Partial<Write> {
  return { ...more, metadata: JSON_TYPE };
}

describeWithRedisStack("JSON documents on servers of their own", () => {
  const { start, open, keep } = onServersOfItsOwn();

  it("are refused, and nothing is written, to a user who may not write them", async () => {
    const server = await start({ ...redisStack(), acl: ["user default on nopass ~* +@all -json.set"] });
    const store = await open(server.port);
    await store.set(write("k", '"kept"'), call);
    const forbidden = { code: "unavailable", message: /run the command 'json.set'/ };
    await assert.rejects(store.set(write("k", "1", asDocument()), call), forbidden);
    await assert.rejects(
      async () => store.transact?.([upsert("l", "1"), upsert("k", "1", asDocument())], call),
      forbidden,
    );
    assert.deepEqual([await textOf(store, "k"), await textOf(store, "l")], ['"kept"', null]);
  });

  it("are no hashes for a user who may not read them: the error names the command", async () => {
    const server = await start({ ...redisStack(), acl: ["user default on nopass ~* +@all -json.get"] });
    const store = await open(server.port);
    await store.set(write("k", "1", asDocument()), call);
    const plain = plainClient(server.port);
    keep(plain, async () => plain.disconnect());
    assert.equal(await plain.type("k"), "ReJSON-RL");
    await assert.rejects(store.get("k", read, call), { code: "unavailable", message: /run the command 'json.get'/ });
    await assert.rejects(store.set(write("k", "2"), call), { code: "unavailable", message: /'json.get'/ });
  });

  it("take no place that could not be given back: what is there stays, and so do the changes before it", async () => {
    for (const missing of ["dump", "pttl", "restore", "type"]) {
      const server = await start({ ...redisStack(), acl: [`user default on nopass ~* +@all -${missing}`] });
      const store = await open(server.port);
      await store.set(write("new", "1", asDocument()), call);
      const key = missing === "type" ? "new" : "k";
      if (key === "k") await store.set(write(key, "1"), call);
      const forbidden = { code: "unavailable", message: new RegExp(`'${missing}'`) };
      await assert.rejects(store.set(write(key, "2", asDocument()), call), forbidden);
      await assert.rejects(
        async () => store.transact?.([upsert("l", "1"), upsert(key, "2", asDocument())], call),
        forbidden,
      );
      assert.deepEqual([await textOf(store, key), await textOf(store, "l")], ["1", null]);
    }
  });

  it("keep nobody without their rights from hashes and strings", async () => {
    const server = await start({ ...redisStack(), acl: ["user default on nopass ~* +@all -json.get -json.type"] });
    const store = await open(server.port);
    const plain = plainClient(server.port);
    keep(plain, async () => plain.disconnect());
    await store.set(write("app||h", "1"), call);
    await plain.set("app||s", "2");
    await plain.sadd("app||set", "member");
    for (const metadata of [{}, JSON_TYPE]) {
      const found = await store.getMany?.(["app||h", "app||s"], { ...read, metadata }, call);
      assert.deepEqual(
        found?.map((each) => each !== null && "bytes" in each && Buffer.from(each.bytes).toString()),
        ["1", "2"],
      );
    }
    const range = { scope: "app||", start: "app||" };
    const list = async (): Promise<ListPage | undefined> =>
      store.list?.({ range, after: null, limit: 100, values: true }, call);
    assert.deepEqual((await list())?.rows.map(({ key }) => key).sort(), ["app||h", "app||s"]);
    await plain.call("JSON.SET", "app||d", "$", '{"data":1,"version":1}');
    const forbidden = { code: "unavailable", message: /run the command 'json.(get|type)'/ };
    await assert.rejects(list(), forbidden);
    await assert.rejects(store.get("app||d", { ...read, metadata: JSON_TYPE }, call), forbidden);
    await assert.rejects(async () => store.removeListed?.(["app||d"], call), forbidden);
    assert.equal(await plain.exists("app||d"), 1);
    // The key is free when it is looked at, and a document that he may not read when its turn comes again.
    const twice = [upsert("app||n", "1", asDocument()), upsert("app||n", "2", asDocument())];
    await assert.rejects(async () => store.transact?.(twice, call), {
      code: "unknown-outcome",
      message: /change 2 of 2/,
    });
  });

  it("need no more rights than the docs page names", async () => {
    const page = readFileSync(new URL("../../../../../docs/stores/redis.md", import.meta.url), "utf8");
    const [, rights = ""] = /^user app on >password ~orders-app\|\|\* (.*)$/m.exec(page) ?? [];
    const [, more = ""] = /need `(\+json[^`]*)`/.exec(page) ?? [];
    const user = `user app on >s3cret ~app||* ${rights} ${more}`;
    const server = await start({ ...redisStack(), acl: ["user default off", user] });
    const store = await open(server.port, { redisUsername: "app", redisPassword: "s3cret" });
    await store.set(write("app||k", "1"), call);
    await store.set(write("app||k", "2", asDocument({ etag: "1" })), call);
    await store.transact?.([upsert("app||k", "3", asDocument()), upsert("app||l", "4", asDocument())], call);
    assert.deepEqual([await textOf(store, "app||k"), await etagOf(store, "app||k")], ["3", "3"]);
    const range = { scope: "app||", start: "app||" };
    const listed = await store.list?.({ range, after: null, limit: 100, values: true }, call);
    assert.equal(listed?.rows.length, 2);
    assert.equal(await store.removeListed?.(["app||k", "app||l"], call), 2);
  });

  it("are written and read after the server was killed, without a restart of this side", async () => {
    const server = await start({ ...redisStack(), appendOnly: true });
    const store = await open(server.port);
    await store.set(write("k", '{"n":1}', asDocument()), call);
    await server.kill9();
    await assert.rejects(store.set(write("k", "2", asDocument()), call));
    await server.restart();
    while ((await textOf(store, "k").catch(() => null)) === null)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await store.set(write("k", '{"n":3}', asDocument({ etag: "1" })), call);
    assert.deepEqual([await textOf(store, "k"), await etagOf(store, "k")], ['{"n":3}', "2"]);
  });

  it("lie in all slots of a cluster, and a transaction takes those of one", async () => {
    const cluster = await startRedisCluster(redisStack());
    keep(cluster, () => cluster.stop());
    const [node] = cluster.nodes;
    const store = await openStore({ port: node?.port ?? 0, fields: { redisType: "cluster" } });
    keep(store, () => store.close());
    assert.ok(store.capabilities.includes("QUERY_API"));
    const keys = Array.from({ length: 30 }, (_, index) => `app||${index}`);
    for (const key of keys) await store.set(write(key, `"${key}"`, asDocument()), call);
    const found = await store.getMany?.(keys, read, call);
    assert.deepEqual(
      found?.map((each) => each !== null && "bytes" in each && Buffer.from(each.bytes).toString()),
      keys.map((key) => `"${key}"`),
    );
    const spread = keys.map((key) => upsert(key, "1", asDocument()));
    await assert.rejects(async () => store.transact?.(spread, call), { code: "refused" });
    await store.transact?.([upsert("app||{s}-1", "1", asDocument()), upsert("app||{s}-2", "2", asDocument())], call);
    assert.equal(await textOf(store, "app||{s}-2"), "2");
    const told: string[] = [];
    let after: string | null = null;
    do {
      const range = { scope: "app||", start: "app||" };
      const page: ListPage | undefined = await store.list?.({ range, after, limit: 10, values: true }, call);
      told.push(...(page?.rows.map(({ key }) => key) ?? []));
      after = page?.next ?? null;
    } while (after !== null);
    assert.deepEqual([...new Set(told)].sort(), [...keys, "app||{s}-1", "app||{s}-2"].sort());
  });
});

/** What a plain row costs, each command of scripts included. */
async function costs(
  port: number,
  store: Store,
  metadata: Write["metadata"],
): Promise<Readonly<Record<string, number>>> {
  const plain = plainClient(port);
  try {
    for (const warm of ["w", "x"]) {
      await store.set(write(warm, "1"), call);
      await store.remove(removal(warm), call);
      await store.transact?.([upsert(warm, "1")], call);
    }
    await plain.config("RESETSTAT");
    await store.set(write("k", "1", { metadata, isJson: false }), call);
    await store.get("k", { ...read, metadata }, call);
    await store.transact?.([upsert("k", "2", { metadata, etag: "1", isJson: false }), deletion("none")], call);
    await store.remove(removal("k", { metadata, etag: "2" }), call);
    const told = await plain.info("commandstats");
    const counted = [...told.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name = "", calls]) => [
      name,
      Number(calls),
    ]);
    return Object.fromEntries(counted.filter(([name]) => name !== "config|resetstat" && name !== "info"));
  } finally {
    plain.disconnect();
  }
}

const PLAIN_COSTS = { evalsha: 3, hget: 5, hset: 2, hincrby: 2, persist: 2, hmget: 1, pexpiretime: 1, del: 2 };

describeWithRedis("a plain row on a server without documents", () => {
  const { start, open } = onServersOfItsOwn();

  it("costs the same commands whatever content type the request names", async () => {
    const { port } = await start();
    const store = await open(port);
    for (const metadata of [{}, JSON_TYPE]) assert.deepEqual(await costs(port, store, metadata), PLAIN_COSTS);
  });
});

describeWithRedisStack("a plain row on a server with documents", () => {
  const { start, open } = onServersOfItsOwn();

  it("costs no more commands than without them", async () => {
    const { port } = await start(redisStack());
    assert.deepEqual(await costs(port, await open(port), {}), PLAIN_COSTS);
  });
});
