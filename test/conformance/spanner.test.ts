// The conformance suite over state.gcp.spanner.
import { spannerFake, spannerService } from "./spanner.ts";
import { conformance } from "./suite.ts";

conformance(spannerFake);
conformance(spannerService);
