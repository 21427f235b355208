// docs/samples.md, rows ttl-* and share-*: the pages on expiry and on sharing state between apps, on Redis.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire } from "#test/wire/sidecar.ts";
import { describeOnRedis } from "./redis-bench.ts";

const JSON_TYPE = { "content-type": "application/json" };

const stores = { statestore: {}, fleeting: { ttlInSeconds: "60" } };
describeOnRedis("a TTL", { appId: "orderprocessing", stores }, (bench) => {
  const body = (ttl: string): string =>
    `[{ "key": "order_1", "value": "250", "metadata": { "ttlInSeconds": "${ttl}" } }]`;

  it("ttl-1: lets the value expire, and a read tells when", async () => {
    assert.equal((await ask(bench.wire, "POST", STORE, body("120"), JSON_TYPE)).status, 204);
    const seconds = await bench.raw.ttl("orderprocessing||order_1");
    assert.ok(seconds > 100 && seconds <= 120, String(seconds));
    const { text, headers } = await ask(bench.wire, "GET", `${STORE}/order_1`);
    assert.deepEqual([text, typeof headers["metadata.ttlexpiretime"]], ['"250"', "string"]);
  });

  it("ttl-2: of -1 keeps the value, also where the Component has a default", async () => {
    for (const store of [STORE, "/v1.0/state/fleeting"]) {
      assert.equal((await ask(bench.wire, "POST", store, body("-1"), JSON_TYPE)).status, 204);
      assert.equal(await bench.raw.ttl("orderprocessing||order_1"), -1);
    }
  });
});

describeWithRedis("sharing state", () => {
  let server: RedisServer;
  let raw: Redis;

  before(async () => {
    server = await startRedis();
    raw = new Redis({ host: server.host, port: server.port, lazyConnect: true });
  });
  after(async () => {
    raw.disconnect();
    await server.stop();
  });

  /** Saves what the page saves, and gives the one key that is then in Redis. */
  async function keyFor(keyPrefix: string | null, namespace = "production"): Promise<string> {
    await raw.flushall();
    const metadata = { redisHost: `${server.host}:${server.port}`, ...(keyPrefix === null ? {} : { keyPrefix }) };
    const manifest = component("redis", "state.redis", metadata).replace(
      "  name: redis",
      "  name: redis\n  namespace: production",
    );
    const wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "myApp", namespace } });
    try {
      const body = '[ { "key": "darth", "value": "nihilus" } ]';
      assert.equal((await ask(wire, "POST", "/v1.0/state/redis", body, JSON_TYPE)).status, 204);
      assert.equal((await ask(wire, "GET", "/v1.0/state/redis/darth")).text, '"nihilus"');
    } finally {
      await wire.stop();
    }
    const [key = "", ...more] = await raw.keys("*");
    assert.deepEqual(more, []);
    return key;
  }

  it("share-1: appid, the default, puts the app id before the key", async () => {
    assert.deepEqual([await keyFor(null), await keyFor("appid")], ["myApp||darth", "myApp||darth"]);
  });

  it("share-2: namespace puts namespace and app id before it, and without a namespace the app id", async () => {
    assert.deepEqual(
      [await keyFor("namespace"), await keyFor("namespace", "")],
      ["production.myApp||darth", "myApp||darth"],
    );
  });

  it("share-3: name puts the store's name before it", async () => {
    assert.equal(await keyFor("name"), "redis||darth");
  });

  it("share-4: none puts nothing before it", async () => {
    assert.equal(await keyFor("none"), "darth");
  });
});
