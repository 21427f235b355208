// The subject of state.redis: one server of its own, which can be killed, started again and stopped in the middle.
import { driver } from "#sidecar/stores/redis/redis.ts";
import { redisMissing, startRedis } from "#test/servers/redis.ts";
import { properties, type Subject } from "./subject.ts";

/** The longest string that Redis holds (proto-max-bulk-len). */
const STRING_BYTES_MAX = 512 * 1024 * 1024;

export const redisServer: Subject = {
  name: "state.redis, one server",
  driver,
  declares: {
    features: { etag: true, transactions: true, ttl: true, list: true },
    limits: { valueBytesMax: STRING_BYTES_MAX, keyBytesMax: STRING_BYTES_MAX, operationsMax: 10_000, ttlSecMin: 1 },
    traits: {
      values: "exact-bytes",
      foreignEtag: "invalid",
      etagMayBeQuoted: false,
      firstWriteDelete: "ignored",
      ttlStepMs: 1,
      durable: true,
      listOrder: "none",
      queryStrings: "typed",
    },
  },
  server: "pause",
  skip: redisMissing(),
  async start() {
    const redis = await startRedis();
    return {
      properties: properties({ redisHost: `127.0.0.1:${redis.port}` }),
      server: {
        stop: () => redis.kill9(),
        start: () => redis.restart(),
        pause: () => redis.pause(),
        resume: () => redis.resume(),
      },
      stop: () => redis.stop(),
    };
  },
};
