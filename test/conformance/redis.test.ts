// The conformance suite over state.redis.
import { redisServer } from "./redis.ts";
import { conformance } from "./suite.ts";

conformance(redisServer);
