// The rows of docs/differences.md that show on Redis, over HTTP against a real server.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { driver } from "#sidecar/stores/redis/redis.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { openContext } from "#test/conformance/case.ts";
import { call, upsert, utf8 } from "#test/conformance/requests.ts";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { startRedisCluster } from "#test/servers/redis-cluster.ts";
import { describeWithRedisStack, redisStack } from "#test/servers/redis-stack.ts";
import { answering, giving } from "#test/servers/token-endpoint.ts";
import { eventually } from "#test/stores/eventually.ts";
import { APP_BY_TOKEN, connectionsOf, onTokens, signIns } from "#test/unit/sidecar/stores/redis/token-fixture.ts";
import { ask, errorOf, STORE, save } from "#test/wire/client.ts";
import { tellsExpiry } from "#test/wire/expiry.ts";
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
    const fromMs = Date.now();
    await ask(wire, "POST", STORE, [{ key: "t5", value: 1, metadata: { ttlInSeconds: "100" } }]);
    const told = (await ask(wire, "GET", `${STORE}/t5`)).headers["metadata.ttlexpiretime"];
    tellsExpiry(told, { fromMs, untilMs: Date.now(), ttlSec: 100 });
  });

  it("R17: a change of a transaction may ask for a document that this server has not", async () => {
    const change = { key: "r17", value: { a: 1 }, metadata: { contentType: "application/json" } };
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, transaction(change))).status, 204);
    assert.deepEqual(await raw.hgetall("wire||r17"), { data: '{"a":1}', version: "1" });
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
    const end = Date.now() + 30_000;
    while ((await ask(wire, "GET", `${STORE}/none`)).status !== 204)
      assert.ok(Date.now() < end, "not recovered within 30 s");
  }
});

describeWithRedisStack("differences on Redis with JSON", () => {
  let server: RedisServer;
  let raw: Redis;
  let wire: WireSidecar;
  const INDEXES = JSON.stringify([{ name: "r16", indexes: [{ key: "a", type: "NUMERIC" }] }]);
  const manifests = (): Record<string, string> => ({
    "a.yaml": component("statestore", "state.redis", {
      redisHost: `${server.host}:${server.port}`,
      queryIndexes: INDEXES,
    }),
  });

  before(async () => {
    server = await startRedis(redisStack());
    raw = new Redis({ host: server.host, port: server.port, lazyConnect: true });
    raw.on("error", () => undefined);
    await raw.connect();
    wire = await startWire({ manifests: manifests() });
  });

  after(async () => {
    raw.disconnect();
    await wire.stop();
    await server.stop();
  });

  const put = async (key: string, value: unknown, more: object = {}): Promise<number> => {
    const item = { key, value, metadata: { contentType: "application/json" }, ...more };
    return (await ask(wire, "POST", STORE, [item])).status;
  };
  const document = async (key: string): Promise<unknown> => raw.call("JSON.GET", `wire||${key}`);

  it("R12: documents and hashes are read, listed and queried whatever the request says", async () => {
    assert.equal(await put("r12-d", { r12: 1 }), 204);
    assert.equal(await document("r12-d"), '{"data":{"r12":1},"version":1}');
    await save(wire, "r12-h", '{"r12":2}');
    for (const asked of ["", "?metadata.contentType=application/json"]) {
      for (const [key, text] of [
        ["r12-d", '{"r12":1}'],
        ["r12-h", '{"r12":2}'],
      ]) {
        const answer = await ask(wire, "GET", `${STORE}/${key}${asked}`);
        assert.deepEqual([answer.text, answer.headers.etag], [text, "1"]);
      }
    }
    const query = { filter: { IN: { r12: [1, 2] } }, sort: [{ key: "r12" }] };
    const answer = await ask(wire, "POST", "/v1.0-alpha1/state/statestore/query", query);
    assert.deepEqual(
      JSON.parse(answer.text).results.map(({ key }: { key: string }) => key),
      ["r12-d", "r12-h"],
    );
  });

  it("R13: a write over a row of the other form keeps to its ETag, and the counter goes on", async () => {
    await put("r13", 1);
    await put("r13", 2);
    const plain = [{ key: "r13", value: 3, etag: "1" }];
    assert.equal((await ask(wire, "POST", STORE, plain)).status, 409);
    await save(wire, "r13", "3");
    assert.deepEqual(await raw.hgetall("wire||r13"), { data: "3", version: "3" });
    assert.equal(await put("r13", 4, { etag: "2" }), 409);
    assert.equal(await put("r13", 4, { etag: "3" }), 204);
    assert.equal(await document("r13"), '{"data":4,"version":4}');
  });

  it("R14: numbers of a document come back equal, and what it cannot hold is kept as a hash", async () => {
    const item = (key: string, text: string): string =>
      `[{"key":"${key}","value":${text},"metadata":{"contentType":"application/json"}}]`;
    const json = { "content-type": "application/json" };
    const kept = "[3.14159265,9007199254740993,0.30000000000000004]";
    assert.equal((await ask(wire, "POST", STORE, item("r14", kept), json)).status, 204);
    assert.equal(await document("r14"), `{"data":${kept},"version":1}`);
    const unfit = "3.14159265358979323846";
    assert.equal((await ask(wire, "POST", STORE, item("r14", unfit), json)).status, 204);
    assert.deepEqual(await raw.hgetall("wire||r14"), { data: unfit, version: "2" });
  });

  it("R15: bytes of a gRPC transaction are kept as they came", async () => {
    const store = await driver
      .decode([{ name: "redisHost", value: `${server.host}:${server.port}`, secret: false }], [])
      .open(openContext(AbortSignal.timeout(30_000), []));
    try {
      const metadata = { contentType: "application/json" };
      await store.transact?.([upsert("r15", utf8('{ "a": 1 }'), { isJson: false, metadata })], call());
      assert.deepEqual(await raw.hgetall("r15"), { data: '{ "a": 1 }', version: "1" });
    } finally {
      await store.close();
    }
  });

  it("R16: an index with the same paths stays over a start, and one that is refused ends none", async () => {
    await raw.call("FT.ALIASADD", "r16-alias", "r16");
    const again = await startWire({ manifests: manifests() });
    await again.stop();
    await raw.call("FT.INFO", "r16-alias");
    const odd = manifests()["a.yaml"]?.replace("NUMERIC", "ODD") ?? "";
    const other = await startWire({ manifests: { "a.yaml": odd } });
    try {
      assert.equal((await ask(other, "GET", `${STORE}/none`)).status, 204);
    } finally {
      await other.stop();
    }
  });
});

describeWithRedis("differences on Redis with tokens", () => {
  const RENEWAL_MS = 55 * 60_000;
  const bench = onTokens();
  let server: RedisServer;
  let look: Redis;
  let store: Store;

  beforeEach(async () => {
    server = await startRedis({ acl: APP_BY_TOKEN });
    look = bench.look(server.port);
    bench.endpoint.answer = giving("token-1", 3600);
    store = await bench.open({ redisHost: `${server.host}:${server.port}` });
  });
  afterEach(() => server.stop());

  it("R18: a token that cannot be renewed ends nothing that works", async () => {
    bench.endpoint.answer = answering(500, "");
    bench.clock.move(2 * RENEWAL_MS);
    await eventually(async () => assert.match(bench.log.warnings.join(), /cannot be renewed/));
    await store.ping(call());
  });

  it("R19: a new connection signs in with the newest token", async () => {
    await look.call("ACL", "SETUSER", "app", ">token-2");
    bench.endpoint.answer = giving("token-2", 3600);
    bench.clock.move(RENEWAL_MS);
    await eventually(async () => assert.equal((await signIns(look)).all, 2));
    await look.call("ACL", "SETUSER", "app", "resetpass", ">token-2");
    await look.call("CLIENT", "KILL", "USER", "app");
    await eventually(() => store.ping(call()));
    assert.equal((await signIns(look)).refused, 0);
  });

  it("R20: useOIDC signs in with a token of the endpoint", async () => {
    assert.equal((await connectionsOf(look, "app")).length, 1);
    assert.equal(bench.endpoint.questions[0]?.form.get("grant_type"), "client_credentials");
  });
});
