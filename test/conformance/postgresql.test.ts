// The conformance suite over state.postgresql, both versions, and behind a pooler.
import { postgresqlPgbouncer, postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { conformance } from "./suite.ts";

conformance(postgresqlV1);
conformance(postgresqlV2);
conformance(postgresqlPgbouncer);
