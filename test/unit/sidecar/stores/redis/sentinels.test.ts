// A master under sentinels: found by them, lost, moved, found again.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { freePort } from "#test/servers/free-port.ts";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { type RedisSentinels, startRedisSentinels, startSentinel } from "#test/servers/redis-sentinel.ts";
import { call, eventually, openStore, plainClient, textOf, write } from "./fixture.ts";

const PASSWORD = "of-the-servers";
const SENTINEL_PASSWORD = "of-the-sentinels";
const LOOK_MS_MAX = 5_000;

describeWithRedis("a Redis master under sentinels", function () {
  this.timeout(400_000);
  let under: RedisSentinels;
  const stores: Store[] = [];

  before(async () => {
    under = await startRedisSentinels({ password: PASSWORD, sentinelPassword: SENTINEL_PASSWORD });
  });
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    for (const store of stores.splice(0)) await store.close();
  });
  after(() => under?.stop());

  function fieldsOf(more: Record<string, string> = {}): Record<string, string> {
    return {
      redisHost: under.hosts,
      failover: "true",
      sentinelMasterName: under.masterName,
      sentinelPassword: SENTINEL_PASSWORD,
      redisPassword: PASSWORD,
      ...more,
    };
  }
  async function open(more: Record<string, string> = {}): Promise<Store> {
    const store = await openStore({ port: 0, fields: fieldsOf(more) });
    stores.push(store);
    return store;
  }
  async function master(): Promise<RedisServer> {
    return under.servers[await under.master()] ?? assert.fail("the sentinels name no server of this test");
  }
  /** Sentinels may still name a server that hangs: what it does not answer is asked again. */
  function lookAt(port: number): ReturnType<typeof plainClient> {
    return plainClient(port, { password: PASSWORD, commandTimeout: LOOK_MS_MAX });
  }
  /** All servers are there, two of them as replicas of the third, and the sentinels know it. */
  async function settled(): Promise<void> {
    await eventually(async () => {
      const { port } = await master();
      const client = lookAt(port);
      try {
        assert.equal((await client.info("replication")).split("state=online").length - 1, 2);
      } finally {
        client.disconnect();
      }
    });
  }
  async function masterChanges(from: number): Promise<void> {
    await eventually(async () => assert.notEqual(await under.master(), from));
  }
  async function connectionsTo({ port }: RedisServer): Promise<number> {
    const client = lookAt(port);
    try {
      return String(await client.client("LIST")).split("name=pannier-test").length - 1;
    } finally {
      client.disconnect();
    }
  }

  it("is found by any sentinel that is there, although one is gone and one hangs", async () => {
    const [first, second] = under.sentinels;
    first?.pause();
    try {
      const gone = `127.0.0.1:${await freePort()}`;
      const store = await open({ redisHost: `127.0.0.1:${first?.port},${gone},127.0.0.1:${second?.port}` });
      await store.set(write("k", "1", { strong: true }), call);
      assert.equal(await connectionsTo(await master()), 2);
    } finally {
      first?.resume();
    }
  });

  const refused: [what: string, more: Record<string, string>, message: RegExp][] = [
    ["the sentinels' password is wrong", { sentinelPassword: "wr0ng" }, /refused the user or the password/],
    ["the sentinels' password is missing", { sentinelPassword: "" }, /wants a password/],
    ["the master's password is wrong", { redisPassword: "wr0ng" }, /refused the user or the password/],
    [
      "the master has another name",
      { sentinelMasterName: "others" },
      /knows no master "others"; check sentinelMasterName/,
    ],
  ];
  for (const [what, more, message] of refused) {
    it(`does not open when ${what}, and says so`, async () => {
      const error = await openStore({ port: 0, fields: fieldsOf(more) }).catch((failure: unknown) => failure);
      assert.ok(error instanceof Error);
      assert.match(error.message, message);
      assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}`, /wr0ng|of-the-/);
    });
  }

  it("does not open when its sentinels are gone, or are none", async () => {
    const gone = `127.0.0.1:${await freePort()}`;
    await assert.rejects(openStore({ port: 0, fields: fieldsOf({ redisHost: gone }) }), { code: "unavailable" });
    const { port } = await startedAlone();
    const none = fieldsOf({ redisHost: `127.0.0.1:${port}`, sentinelPassword: "" });
    await assert.rejects(openStore({ port: 0, fields: none }), { message: /is no sentinel/ });
  });

  it("does not take a replica for the master, whatever a sentinel says", async () => {
    const { port } = await startedAlone();
    const replica = await startedAlone(["--replicaof", "127.0.0.1", String(port)]);
    const misled = await startSentinel(replica.port);
    try {
      const more = { redisHost: `127.0.0.1:${misled.port}`, sentinelPassword: "", redisPassword: "" };
      const message = /which a sentinel calls the master, is a replica/;
      await assert.rejects(openStore({ port: 0, fields: fieldsOf(more) }), { code: "unavailable", message });
    } finally {
      await misled.stop();
    }
  });

  const alone: RedisServer[] = [];
  after(async () => {
    for (const server of alone) await server.stop();
  });
  async function startedAlone(args: readonly string[] = []): Promise<RedisServer> {
    const server = await startRedis({ args });
    alone.push(server);
    return server;
  }

  it("is followed when the sentinels make another server the master, and strong writes go there too", async () => {
    await settled();
    // Until the old master hears of it, it still has one replica, and would lose what that one acknowledges.
    const store = await open({ strongAcks: "2" });
    await store.set(write("k", "1", { strong: true }), call);
    const before = await under.master();
    await under.failover();
    await masterChanges(before);
    await eventually(() => store.set(write("k", "2", { strong: true }), call));
    const client = plainClient((await master()).port, { password: PASSWORD });
    assert.equal(await client.hget("k", "data"), "2");
    client.disconnect();
    assert.equal(await textOf(store, "k"), "2");
  });

  it("loses no strong write that was acknowledged when it is killed under load, and is found again", async () => {
    await settled();
    const store = await open();
    const acknowledged: number[] = [];
    const codes = new Set<string>();
    let stop = false;
    let next = 0;
    const writer = async (): Promise<void> => {
      while (!stop) {
        const number = next++;
        await store.set(write(`n${number}`, `${number}`, { strong: true }), call).then(
          () => acknowledged.push(number),
          (error: { code: string }) => {
            codes.add(error.code);
            return new Promise((resolve) => setTimeout(resolve, 20));
          },
        );
      }
    };
    const writers = Array.from({ length: 8 }, writer);
    ends.push(() => {
      stop = true;
      return Promise.all(writers);
    });
    await eventually(async () => assert.ok(acknowledged.length > 100));
    const before = await under.master();
    const killed = await master();
    await killed.kill9();
    await masterChanges(before);
    const then = acknowledged.length;
    await eventually(async () => assert.ok(acknowledged.length > then + 100));
    stop = true;
    await Promise.all(writers);
    for (const number of acknowledged) assert.equal(await textOf(store, `n${number}`), `${number}`);
    for (const code of codes) assert.ok(["unavailable", "unknown-outcome", "timeout"].includes(code), code);
    await killed.restart();
    await settled();
  });

  it("is left without a request when it hangs and another takes its place", async () => {
    await settled();
    const store = await open();
    await store.set(write("k", "1", { strong: true }), call);
    const before = await under.master();
    const hung = await master();
    hung.pause();
    try {
      await masterChanges(before);
      await eventually(async () => assert.equal(await connectionsTo(await master()), 1));
      await store.set(write("k", "3", { strong: true }), call);
      assert.equal(await textOf(store, "k"), "3");
    } finally {
      hung.resume();
    }
    await settled();
    assert.equal(await textOf(store, "k"), "3");
  });

  it("is found by sentinels that redisHost does not name, when the one that it names is gone", async () => {
    await settled();
    const [first] = under.sentinels;
    assert.ok(first !== undefined);
    const store = await open({ redisHost: `127.0.0.1:${first.port}` });
    await store.set(write("k", "1"), call);
    const before = await under.master();
    await first.kill9();
    await (await master()).kill9();
    await masterChanges(before);
    await eventually(() => store.set(write("k", "4"), call));
    assert.equal(await textOf(store, "k"), "4");
  });
});
