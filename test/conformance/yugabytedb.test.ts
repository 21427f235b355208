// The conformance suite over state.yugabytedb.
import { conformance } from "./suite.ts";
import { yugabyte, yugabyteByAddress } from "./yugabytedb.ts";

conformance(yugabyte);
conformance(yugabyteByAddress);
