// The conformance suite over state.redis.
import { redisCluster, redisClusterSpread, redisSentinels, redisServer } from "./redis.ts";
import { conformance } from "./suite.ts";

for (const subject of [redisServer, redisCluster, redisClusterSpread, redisSentinels]) conformance(subject);
