// The conformance suite over state.cassandra.
import { cassandraEtags, cassandraPlain } from "./cassandra.ts";
import { conformance } from "./suite.ts";

conformance(cassandraPlain);
conformance(cassandraEtags);
