// The conformance suite over state.redis.
import { redisCluster, redisClusterSpread, redisDocuments, redisSentinels, redisServer } from "./redis.ts";
import { conformance } from "./suite.ts";

for (const subject of [redisServer, redisDocuments, redisCluster, redisClusterSpread, redisSentinels])
  conformance(subject);
