// The conformance suite over state.cockroachdb.
import { cockroachV1, cockroachV1ByAddress, cockroachV2, cockroachV2ByAddress } from "./cockroachdb.ts";
import { conformance } from "./suite.ts";

conformance(cockroachV1);
conformance(cockroachV2);
conformance(cockroachV1ByAddress);
conformance(cockroachV2ByAddress);
