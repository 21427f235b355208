// Tokens of an endpoint as passwords of ACL users, on real servers: renewed under way, revoked, refused, not to be had.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { type RedisCluster, startRedisCluster } from "#test/servers/redis-cluster.ts";
import { type RedisSentinels, startRedisSentinels } from "#test/servers/redis-sentinel.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { answering, giving } from "#test/servers/token-endpoint.ts";
import { eventually } from "#test/stores/eventually.ts";
import { call, read, textOf, write } from "#test/stores/requests.ts";
import { APP_BY_TOKEN, connectionsOf, onTokens, signIns } from "./token-fixture.ts";

const MINUTE_MS = 60_000;
/** Until a token of an hour is renewed. */
const RENEWAL_MS = 55 * MINUTE_MS;
const HOUR_SEC = 3600;
/** Before that an endpoint is not asked again. */
const PAUSE_MS = 5_000;

async function works(store: Store): Promise<void> {
  await store.set(write("app||k", "1"), call);
  assert.equal(await textOf(store, "app||k"), "1");
}

describeWithRedis("a token of an endpoint at Redis", () => {
  const bench = onTokens();
  let server: RedisServer;
  let look: Redis;

  beforeEach(async () => {
    server = await startRedis({ acl: APP_BY_TOKEN });
    look = bench.look(server.port);
    bench.endpoint.answer = giving("token-1", HOUR_SEC);
  });
  afterEach(() => server.stop());

  const open = (more: Readonly<Record<string, string>> = {}): Promise<Store> =>
    bench.open({ redisHost: `127.0.0.1:${server.port}`, ...more });
  const setUser = (...rules: string[]): Promise<unknown> => look.call("ACL", "SETUSER", "app", ...rules);
  /** The server ends the connections of the user, as it does when it has ended the token. */
  const cutUser = (): Promise<unknown> => look.call("CLIENT", "KILL", "USER", "app");
  const taken = (calls: number): Promise<void> =>
    eventually(async () => assert.deepEqual(await signIns(look), { all: calls, refused: 0 }));

  it("is the password of the user of the manifest", async () => {
    await works(await open());
    assert.equal((await connectionsOf(look, "app")).length, 1);
    assert.deepEqual(await signIns(look), { all: 1, refused: 0 });
    assert.deepEqual(bench.log.warnings, []);
  });

  it("is the whole of AUTH where the manifest names no user", async () => {
    const other = await startRedis({ acl: ["user default on >token-1 ~* +@all", "user boss on >boss ~* +@all"] });
    try {
      await works(await open({ redisHost: `127.0.0.1:${other.port}`, redisUsername: "" }));
      const boss = bench.look(other.port, { username: "boss", password: "boss" });
      assert.equal((await connectionsOf(boss, "default")).length, 1);
    } finally {
      await other.stop();
    }
  });

  it("is renewed five minutes before its end, on the connection that stands, under requests that go on", async () => {
    const store = await open();
    await works(store);
    const before = await connectionsOf(look, "app");
    await setUser(">token-2");
    bench.endpoint.answer = giving("token-2", HOUR_SEC);
    bench.clock.move(RENEWAL_MS - MINUTE_MS);
    assert.equal(bench.endpoint.questions.length, 1);
    let isOver = false;
    const requests = (async () => {
      while (!isOver) await works(store);
    })();
    bench.clock.move(MINUTE_MS);
    await taken(2).finally(() => {
      isOver = true;
    });
    await requests;
    assert.deepEqual(await connectionsOf(look, "app"), before);
    assert.equal(bench.endpoint.questions.length, 2);
    assert.deepEqual(bench.log.warnings, []);
  });

  it("that is the newest is what a new connection takes", async () => {
    const store = await open();
    await setUser(">token-2");
    bench.endpoint.answer = giving("token-2", HOUR_SEC);
    bench.clock.move(RENEWAL_MS);
    await taken(2);
    await setUser("resetpass", ">token-2");
    await cutUser();
    await eventually(() => works(store));
    assert.deepEqual(await signIns(look), { all: 3, refused: 0 });
    assert.equal(bench.endpoint.questions.length, 2);
  });

  it("that is revoked before its time is replaced by another one", async () => {
    const store = await open();
    await setUser("resetpass", ">token-2");
    bench.endpoint.answer = giving("token-2", HOUR_SEC);
    bench.clock.move(PAUSE_MS);
    await cutUser();
    await eventually(() => works(store));
    const told = bench.log.warnings.join("\n");
    assert.match(told, /refused the token of https:.*; check redisUsername, oidcScopes and oidcAudience/);
    assert.doesNotMatch(told, /token-\d/);
  });

  it("that cannot be renewed ends nothing that works, and its end is told to requests that need a new one", async () => {
    const store = await open();
    bench.endpoint.answer = answering(500, "");
    bench.clock.move(RENEWAL_MS);
    await eventually(async () => assert.equal(bench.log.warnings.length, 1));
    assert.match(bench.log.warnings[0] ?? "", /a token cannot be renewed.*\(oidcTokenEndpoint\): it answered 500/);
    // A new connection still comes in with what is left of the old one.
    await cutUser();
    await eventually(() => works(store));
    bench.clock.move(2 * RENEWAL_MS);
    await works(store);
    await cutUser();
    const why = /no token to sign in at redis with from https:.*\(oidcTokenEndpoint\): it answered 500/;
    await eventually(() => assert.rejects(store.get("app||k", read, call), { code: "unavailable", message: why }));
    bench.endpoint.answer = giving("token-1", HOUR_SEC);
    bench.clock.move(PAUSE_MS);
    await eventually(() => works(store));
  });

  it("that the server refuses ends nothing that works, is told of once, and the next one is taken", async () => {
    const store = await open();
    const before = await connectionsOf(look, "app");
    bench.endpoint.answer = giving("token-that-nobody-knows", HOUR_SEC);
    bench.clock.move(RENEWAL_MS);
    await eventually(async () => assert.ok((await signIns(look)).refused > 0));
    await works(store);
    await setUser(">token-3");
    bench.endpoint.answer = giving("token-3", HOUR_SEC);
    bench.clock.move(2 * PAUSE_MS);
    await eventually(async () => {
      const { all, refused } = await signIns(look);
      assert.equal(all - refused, 2);
    });
    assert.deepEqual(await connectionsOf(look, "app"), before);
    assert.equal(bench.log.warnings.length, 1, bench.log.warnings.join("\n"));
    assert.match(bench.log.warnings[0] ?? "", /a token cannot be renewed.*refused the token of https:/);
    assert.doesNotMatch(bench.log.warnings.join("\n"), /nobody-knows/);
  });

  it("that the server refuses is not what a new connection depends on while the one before is good", async () => {
    const store = await open();
    bench.endpoint.answer = giving("token-that-nobody-knows", HOUR_SEC);
    bench.clock.move(RENEWAL_MS);
    await eventually(async () => assert.ok((await signIns(look)).refused > 0));
    await cutUser();
    await eventually(() => works(store));
    assert.equal((await connectionsOf(look, "app")).length, 1);
  });

  it("that the server takes again after it has refused it needs no other, which cannot be had", async () => {
    const store = await open();
    bench.endpoint.answer = answering(503, "");
    await setUser("resetpass", ">token-of-somebody-else");
    await cutUser();
    // Until the endpoint has been asked in vain.
    const moveOn = (): void => bench.clock.move(PAUSE_MS);
    await eventually(async () => {
      moveOn();
      const why = { message: /refused the token of https:/ };
      await assert.rejects(store.get("app||k", read, call), why);
      assert.ok(bench.endpoint.questions.length > 1);
    });
    await setUser(">token-1");
    await eventually(() => works(store));
  });

  it("is given to the next connection when the old one is cut while it is renewed", async () => {
    const proxy = await TcpProxy.start({ host: "127.0.0.1", port: server.port });
    try {
      const store = await open({ redisHost: `127.0.0.1:${proxy.port}` });
      await works(store);
      await setUser(">token-2");
      bench.endpoint.answer = giving("token-2", HOUR_SEC);
      proxy.mode = "cut-after-request";
      bench.clock.move(RENEWAL_MS);
      await eventually(async () => assert.match(bench.log.warnings.join("\n"), /connection lost/));
      await setUser("resetpass", ">token-2");
      proxy.mode = "pass";
      await eventually(() => works(store));
    } finally {
      await proxy.stop();
    }
  });

  it("is what connections for strong writes sign in with, and are told of", async () => {
    const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(server.port)] });
    try {
      const store = await open({ strongAcks: "1" });
      await eventually(() => store.set(write("app||k", "1", { strong: true }), call));
      const before = await connectionsOf(look, "app");
      assert.equal(before.length, 2);
      await setUser(">token-2");
      bench.endpoint.answer = giving("token-2", HOUR_SEC);
      bench.clock.move(RENEWAL_MS);
      await taken(4);
      await store.set(write("app||k", "2", { strong: true }), call);
      assert.deepEqual(await connectionsOf(look, "app"), before);
    } finally {
      await replica.stop();
    }
  });

  it("is not asked for any more once the store is closed", async () => {
    const store = await open();
    assert.equal(bench.clock.timers, 1);
    await store.close();
    assert.equal(bench.clock.timers, 0);
  });

  it("that nobody gives lets no store open, and says why", async () => {
    bench.endpoint.answer = answering(401, `{"error":"invalid_client"}`);
    await assert.rejects(open(), {
      code: "unavailable",
      message: /^no token .*\(oidcTokenEndpoint\): it answered 401 \(invalid_client\)$/,
    });
  });

  it("that the server does not know lets no store open, and says what to look at", async () => {
    bench.endpoint.answer = giving("s3cr3t", HOUR_SEC);
    const error = await open().catch((failure: unknown) => failure);
    assert.ok(error instanceof Error);
    assert.match(error.message, /^redis at .* refused the token of https:.*; check redisUsername, oidcScopes/);
    assert.doesNotMatch(`${error.stack}`, /s3cr3t/);
    // Nobody renews it.
    assert.equal(bench.clock.timers, 0);
  });

  it("that is waited for lets an opening end when it is called off", async () => {
    bench.endpoint.answer = () => undefined;
    const leaving = new AbortController();
    const fields = { redisHost: `127.0.0.1:${server.port}` };
    const opening = assert.rejects(bench.open(fields, leaving.signal), { code: "closed" });
    await eventually(async () => assert.equal(bench.endpoint.questions.length, 1));
    leaving.abort();
    await opening;
  });

  it("draws one warning where the server wants no password, however often it is renewed", async () => {
    const free = await startRedis();
    try {
      const store = await open({ redisHost: `127.0.0.1:${free.port}`, redisUsername: "" });
      await eventually(async () => {
        bench.endpoint.answer = giving(`token-${bench.endpoint.questions.length}`, HOUR_SEC);
        bench.clock.move(RENEWAL_MS);
        assert.ok(bench.endpoint.questions.length > 3);
      });
      await works(store);
      // The moves of the clock can call off a question; what is told of that is not the subject.
      const told = bench.log.warnings.filter((each) => each.includes("wants no password"));
      assert.equal(told.length, 1, told.join("\n"));
    } finally {
      await free.stop();
    }
  });
});

describeWithRedis("a token of an endpoint at a Redis cluster", function () {
  this.timeout(120_000);
  const bench = onTokens();
  const MASTERS = 3;
  let cluster: RedisCluster;

  before(async () => {
    cluster = await startRedisCluster({ masters: MASTERS, acl: APP_BY_TOKEN });
  });
  after(() => cluster?.stop());

  it("is renewed on the connection to each master, and taken by those to come", async () => {
    bench.endpoint.answer = giving("token-1", HOUR_SEC);
    const store = await bench.open({ redisHost: cluster.hosts, redisType: "cluster" });
    const looks = cluster.nodes.map(({ port }) => bench.look(port));
    const masters = looks.slice(0, MASTERS);
    const connections = async (): Promise<readonly number[]> => {
      const all = await Promise.all(masters.map((each) => connectionsOf(each, "app")));
      // Those that only asked for the slots have ended by then.
      assert.deepEqual(
        all.map((each) => each.length),
        [1, 1, 1],
      );
      return all.flat();
    };
    const keys = Array.from({ length: 50 }, (_, index) => `app||k${index}`);
    const writeAll = (): Promise<unknown> => Promise.all(keys.map((key) => store.set(write(key, key), call)));
    await writeAll();
    const before = await eventually(connections);
    const signedIn = await Promise.all(masters.map(signIns));
    for (const each of looks) await each.call("ACL", "SETUSER", "app", ">token-2");
    bench.endpoint.answer = giving("token-2", HOUR_SEC);
    bench.clock.move(RENEWAL_MS);
    await eventually(async () => {
      const now = await Promise.all(masters.map(signIns));
      for (const [index, { all }] of now.entries()) assert.ok(all > (signedIn[index]?.all ?? 0));
    });
    await writeAll();
    assert.deepEqual(await connections(), before);
    for (const each of looks) {
      await each.call("ACL", "SETUSER", "app", "resetpass", ">token-2");
      await each.call("CLIENT", "KILL", "USER", "app");
    }
    await eventually(writeAll);
    assert.equal(bench.endpoint.questions.length, 2);
  });
});

describeWithRedis("a token that one master of a Redis cluster refuses", function () {
  this.timeout(120_000);
  const bench = onTokens();
  const MASTERS = 3;
  let cluster: RedisCluster;

  before(async () => {
    cluster = await startRedisCluster({ masters: MASTERS, acl: APP_BY_TOKEN });
  });
  after(() => cluster?.stop());

  it("is what the others are signed in at with, also while no other can be had", async () => {
    bench.endpoint.answer = giving("token-1", HOUR_SEC);
    const store = await bench.open({ redisHost: cluster.hosts, redisType: "cluster" });
    const [stranger, other] = cluster.nodes.map(({ port }) => bench.look(port));
    assert.ok(stranger !== undefined && other !== undefined);
    const keys = Array.from({ length: 30 }, (_, index) => `app||k${index}`);
    const writeAll = (): Promise<readonly PromiseSettledResult<unknown>[]> =>
      Promise.allSettled(keys.map((key) => store.set(write(key, key), call)));
    const failed = async (): Promise<readonly unknown[]> =>
      (await writeAll()).flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    assert.deepEqual(await failed(), []);
    await stranger.call("ACL", "SETUSER", "app", "resetpass", ">token-of-somebody-else");
    bench.endpoint.answer = answering(503, "");
    await stranger.call("CLIENT", "KILL", "USER", "app");
    await eventually(async () => {
      bench.clock.move(PAUSE_MS);
      assert.ok((await signIns(stranger)).refused > 0 && bench.endpoint.questions.length > 1);
    });
    const before = (await signIns(other)).all;
    await other.call("CLIENT", "KILL", "USER", "app");
    await eventually(async () => {
      const reasons = await failed();
      assert.ok((await signIns(other)).all > before && reasons.length > 0 && reasons.length < keys.length / 2);
      for (const reason of reasons) assert.match(String(reason), /refused the token of https:/);
    });
  });
});

describeWithRedis("a token of an endpoint under sentinels", function () {
  this.timeout(120_000);
  const bench = onTokens();
  let under: RedisSentinels;

  before(async () => {
    under = await startRedisSentinels({ acl: APP_BY_TOKEN, sentinelPassword: "of-the-sentinels" });
  });
  after(() => under?.stop());

  it("is renewed at the master and taken by its successor, and no sentinel hears of it", async () => {
    bench.endpoint.answer = giving("token-1", HOUR_SEC);
    const { hosts: redisHost, masterName: sentinelMasterName } = under;
    const fields = { redisHost, sentinelMasterName, failover: "true", sentinelPassword: "of-the-sentinels" };
    const store = await bench.open(fields);
    await works(store);
    const looks = under.servers.map(({ port }) => bench.look(port));
    const master = looks[await under.master()] ?? assert.fail("the sentinels name no server of this test");
    for (const each of looks) await each.call("ACL", "SETUSER", "app", ">token-2");
    bench.endpoint.answer = giving("token-2", HOUR_SEC);
    bench.clock.move(RENEWAL_MS);
    await eventually(async () => assert.deepEqual(await signIns(master), { all: 2, refused: 0 }));
    for (const each of looks) await each.call("ACL", "SETUSER", "app", "resetpass", ">token-2");
    const from = await under.master();
    await eventually(() => under.failover());
    await eventually(async () => assert.notEqual(await under.master(), from));
    await eventually(() => works(store));
    assert.equal(bench.endpoint.questions.length, 2);
  });
});
