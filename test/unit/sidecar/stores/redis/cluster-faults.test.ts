// A cluster that loses a master, in order or not, while requests run.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { type RedisCluster, startRedisCluster } from "#test/servers/redis-cluster.ts";
import { call, eventually, listeningLog, openStore, read, textOf, write } from "./fixture.ts";

const WRITERS = 12;

describeWithRedis("a Redis cluster in trouble", function () {
  this.timeout(400_000);
  let cluster: RedisCluster;
  let store: Store;
  const log = listeningLog();

  beforeEach(async () => {
    cluster = await startRedisCluster();
    store = await openStore({ port: 0, fields: { redisHost: cluster.hosts, redisType: "cluster" }, log });
  });
  const ends: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
    await store?.close();
    await cluster?.stop();
  });

  interface Load {
    readonly acknowledged: string[];
    readonly failures: { readonly code: string; readonly message: string }[];
    end(): Promise<void>;
  }

  /** Writes on keys of all slots, one after the other by each of the writers. */
  function load(strong: boolean): Load {
    const acknowledged: string[] = [];
    const failures: { code: string; message: string }[] = [];
    let stop = false;
    const writer = async (_: unknown, number: number): Promise<void> => {
      for (let count = 0; !stop; count++) {
        const key = `w${number}-${count}`;
        await store.set(write(key, key, { strong }), call).then(
          () => acknowledged.push(key),
          (error: { code: string; message: string }) => {
            failures.push(error);
            return new Promise((resolve) => setTimeout(resolve, 20));
          },
        );
      }
    };
    const writers = Promise.all(Array.from({ length: WRITERS }, writer));
    const end = async (): Promise<void> => {
      stop = true;
      await writers;
    };
    ends.push(end);
    return { acknowledged, failures, end };
  }

  function client(node: number): Redis {
    const plain = cluster.client(node);
    ends.push(async () => plain.disconnect());
    return plain;
  }

  async function grows(list: readonly unknown[], by: number): Promise<void> {
    const before = list.length;
    await eventually(async () => assert.ok(list.length > before + by, `${list.length - before} of ${by}`));
  }

  async function allWork(count: number): Promise<void> {
    for (let key = 0; key < count; key++) await store.set(write(`all${key}`, "1"), call);
  }

  it("loses no strong write that was acknowledged when a master is killed, and serves its slots again", async () => {
    const { acknowledged, failures, end } = load(true);
    await grows(acknowledged, 200);
    await cluster.nodes[0]?.kill9();
    await eventually(() => assert.rejects(store.ping(call), { code: "unavailable" }));
    await grows(acknowledged, 50);
    await eventually(() => allWork(100));
    await store.ping(call);
    await grows(acknowledged, 200);
    await end();
    for (const key of acknowledged) assert.equal(await textOf(store, key), key);
    for (const { code, message } of failures) {
      assert.ok(["unavailable", "unknown-outcome", "timeout"].includes(code), message);
      assert.match(message, /redis/);
    }
    await cluster.nodes[0]?.restart();
    await cluster.settled();
    await allWork(100);
  });

  it("fails no request when a replica takes over in order", async () => {
    const { acknowledged, failures, end } = load(false);
    await grows(acknowledged, 100);
    const replica = client(3);
    await replica.call("CLUSTER", "FAILOVER");
    await eventually(async () => assert.match(await replica.info("replication"), /role:master/));
    await grows(acknowledged, 300);
    await end();
    assert.deepEqual(
      failures.map(({ message }) => message),
      [],
    );
    for (const key of acknowledged) assert.equal(await textOf(store, key), key);
  });

  it("finds the new master without a request, so that the first one afterwards succeeds", async () => {
    await allWork(50);
    await cluster.nodes[1]?.kill9();
    const replica = client(4);
    await eventually(async () => {
      assert.match(await replica.info("replication"), /role:master/);
      assert.match(String(await replica.client("LIST")), /name=pannier-test/);
    });
    await allWork(50);
  });

  it("serves the other slots while a master hangs, and its slots again from the replica", async () => {
    await allWork(50);
    const hung = cluster.nodes[2];
    hung?.pause();
    try {
      const keys = Array.from({ length: 60 }, (_, key) => `all${key % 50}`);
      const rows = (await store.getMany?.(keys, read, call)) ?? [];
      assert.ok(rows.some((row) => row instanceof Error));
      assert.ok(rows.some((row) => row !== null && !(row instanceof Error)));
      await eventually(() => allWork(50));
    } finally {
      hung?.resume();
    }
    await cluster.settled();
    await allWork(50);
  });

  it("comes back after all nodes were gone", async () => {
    await allWork(10);
    await Promise.all(cluster.nodes.map((node) => node.kill9()));
    await eventually(() => assert.rejects(store.get("all1", read, call), { code: "unavailable" }));
    await Promise.all(cluster.nodes.map((node) => node.restart()));
    await eventually(() => allWork(50));
  });
});
