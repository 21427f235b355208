// The rows of docs/differences.md that show on Redis, over HTTP against a real server.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { startRedisCluster } from "#test/servers/redis-cluster.ts";
import { ask, errorOf, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithRedis("differences on Redis", () => {
  let server: RedisServer;
  let raw: Redis;
  let wire: WireSidecar;

  before(async () => {
    server = await startRedis();
    raw = new Redis({ host: server.host, port: server.port, lazyConnect: true });
    raw.on("error", () => undefined);
    await raw.connect();
    const manifests = {
      "a.yaml": component("statestore", "state.redis", { redisHost: `${server.host}:${server.port}` }),
    };
    wire = await startWire({ manifests });
  });

  after(async () => {
    raw.disconnect();
    await wire.stop();
    await server.stop();
  });

  const transaction = (...requests: object[]): object => ({
    operations: requests.map((request) => ({ operation: "upsert", request })),
  });
  const text = async (key: string): Promise<string> => (await ask(wire, "GET", `${STORE}/${key}`)).text;

  it("C1: a transaction with one stale ETag writes nothing", async () => {
    await save(wire, "c1b", "1");
    const body = transaction({ key: "c1a", value: 1 }, { key: "c1b", value: 2, etag: "99" }, { key: "c1c", value: 3 });
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, body)).status, 409);
    assert.deepEqual(await Promise.all(["c1a", "c1b", "c1c"].map(text)), ["", "1", ""]);
  });

  it("C3: first-write over an existing key is a conflict", async () => {
    await save(wire, "c3", "1");
    const answer = await ask(wire, "POST", STORE, [{ key: "c3", value: 2, options: { concurrency: "first-write" } }]);
    assert.equal(answer.status, 409);
    assert.equal(await text("c3"), "1");
  });

  it("C4: first-write counts inside a transaction", async () => {
    await save(wire, "c4", "1");
    const body = transaction({ key: "c4", value: 2, options: { concurrency: "first-write" } });
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, body)).status, 409);
    assert.equal(await text("c4"), "1");
  });

  it("C5: an ETag on a key that is gone is a conflict, on save and on delete", async () => {
    assert.equal((await ask(wire, "POST", STORE, [{ key: "c5", value: 1, etag: "1" }])).status, 409);
    assert.equal((await ask(wire, "DELETE", `${STORE}/c5`, undefined, { "if-match": "1" })).status, 409);
    assert.equal(await text("c5"), "");
  });

  it("C6: an ETag counts together with last-write", async () => {
    await save(wire, "c6", "1");
    const stale = [{ key: "c6", value: 2, etag: "99", options: { concurrency: "last-write" } }];
    assert.equal((await ask(wire, "POST", STORE, stale)).status, 409);
    const right = [{ key: "c6", value: 3, etag: "1", options: { concurrency: "last-write" } }];
    assert.equal((await ask(wire, "POST", STORE, right)).status, 204);
  });

  it("C7: of a delete's failures only a conflict is 409", async () => {
    await save(wire, "c7", "1");
    assert.equal((await ask(wire, "DELETE", `${STORE}/c7`, undefined, { "if-match": "99" })).status, 409);
    assert.equal((await ask(wire, "DELETE", `${STORE}/c7`, undefined, { "if-match": "no-number" })).status, 400);
    await server.kill9();
    try {
      const answer = await ask(wire, "DELETE", `${STORE}/c7`, undefined, { "if-match": "1" });
      assert.equal(answer.status, 500);
      assert.equal(errorOf(answer).errorCode, "ERR_STATE_DELETE");
    } finally {
      await server.restart();
    }
    await recovered();
  });

  it("C8: a key marked by first-write takes plain writes, and keeps the mark", async () => {
    await raw.hset("wire||c8", { data: "1", "first-write": "0", version: "1" });
    await save(wire, "c8", "2");
    assert.deepEqual(await raw.hgetall("wire||c8"), { data: "2", "first-write": "0", version: "2" });
  });

  it("C13: a transaction of more than 10,000 operations is refused", async () => {
    const operations = Array.from({ length: 10_001 }, (_, index) => ({
      operation: "delete",
      request: { key: `c13-${index}` },
    }));
    const answer = await ask(wire, "POST", `${STORE}/transaction`, { operations });
    assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS"]);
    const details = errorOf(answer).details ?? [];
    assert.deepEqual(details.at(-1)?.metadata, { currentOpsTransaction: "10001", maxOpsPerTransaction: "10000" });
  });

  it("C14: the ETag 0 is an ETag and fits no value", async () => {
    await save(wire, "c14", "1");
    assert.equal((await ask(wire, "POST", STORE, [{ key: "c14", value: 2, etag: "0" }])).status, 409);
  });

  it("C15: a transaction over several slots of a cluster is refused and writes nothing", async () => {
    const cluster = await startRedisCluster();
    try {
      const metadata = { redisHost: cluster.hosts, redisType: "cluster" };
      const there = await startWire({ manifests: { "a.yaml": component("statestore", "state.redis", metadata) } });
      try {
        const spread = transaction({ key: "c15-a", value: 1 }, { key: "c15-b", value: 1 });
        const answer = await ask(there, "POST", `${STORE}/transaction`, spread);
        assert.equal(answer.status, 400, answer.text);
        assert.match(errorOf(answer).message, /hash tag/);
        for (const key of ["c15-a", "c15-b"]) assert.equal((await ask(there, "GET", `${STORE}/${key}`)).status, 204);
        const together = transaction({ key: "{c15}-a", value: 1 }, { key: "{c15}-b", value: 1 });
        assert.equal((await ask(there, "POST", `${STORE}/transaction`, together)).status, 204);
      } finally {
        await there.stop();
      }
    } finally {
      await cluster.stop();
    }
  });

  it("T3: an old expiry is cleared by a write without one", async () => {
    await ask(wire, "POST", STORE, [{ key: "t3", value: 1, metadata: { ttlInSeconds: "100" } }]);
    await save(wire, "t3", "2");
    assert.equal(await raw.ttl("wire||t3"), -1);
  });

  it("T4: the expiry is set by the command that writes the value", async () => {
    const commands: string[][] = [];
    const monitor = await raw.duplicate().monitor();
    monitor.on("monitor", (_time: string, args: string[], source: string) => {
      if (source !== "lua") commands.push(args);
    });
    try {
      await ask(wire, "POST", STORE, [{ key: "t4", value: 1, metadata: { ttlInSeconds: "100" } }]);
      await raw.echo("end");
      while (!commands.some(([name]) => name?.toLowerCase() === "echo"))
        await new Promise((resolve) => setImmediate(resolve));
    } finally {
      monitor.disconnect();
    }
    const writes = commands.filter((args) => args.includes("wire||t4"));
    assert.equal(writes.length, 1, JSON.stringify(writes));
    assert.ok((await raw.ttl("wire||t4")) > 90);
  });

  it("T5: a read tells when the value expires", async () => {
    await ask(wire, "POST", STORE, [{ key: "t5", value: 1, metadata: { ttlInSeconds: "100" } }]);
    const header = String((await ask(wire, "GET", `${STORE}/t5`)).headers["metadata.ttlexpiretime"]);
    assert.ok(Math.abs(Date.parse(header) - Date.now() - 100_000) < 10_000, header);
  });

  it("S1: a strong write that too few replicas acknowledge is an error that says so", async () => {
    const metadata = { redisHost: `${server.host}:${server.port}`, strongAcks: "1" };
    const lonely = await startWire({ manifests: { "a.yaml": component("statestore", "state.redis", metadata) } });
    try {
      const answer = await ask(lonely, "POST", STORE, [{ key: "s1", value: 1, options: { consistency: "strong" } }]);
      assert.equal(answer.status, 500);
      assert.match(errorOf(answer).message, /replica/);
      await save(lonely, "s1-plain", "1");
    } finally {
      await lonely.stop();
    }
  });

  /** The sidecar finds the restarted server by itself. */
  async function recovered(): Promise<void> {
    const end = Date.now() + 10_000;
    while ((await ask(wire, "GET", `${STORE}/none`)).status !== 204)
      assert.ok(Date.now() < end, "not recovered within 10 s");
  }
});
