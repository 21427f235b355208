// The conformance suite over state.memcached.
import { memcachedEtags, memcachedPlain } from "./memcached.ts";
import { conformance } from "./suite.ts";

conformance(memcachedPlain);
conformance(memcachedEtags);
