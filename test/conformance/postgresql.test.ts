// The conformance suite over state.postgresql, both versions.
import { postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { conformance } from "./suite.ts";

conformance(postgresqlV1);
conformance(postgresqlV2);
