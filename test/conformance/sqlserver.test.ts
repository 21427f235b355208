// The conformance suite over state.sqlserver, both versions.
import { sqlserverV1, sqlserverV2 } from "./sqlserver.ts";
import { conformance } from "./suite.ts";

conformance(sqlserverV1);
conformance(sqlserverV2);
