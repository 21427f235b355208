// The conformance suite over state.jetstream.
import { jetStream, jetStreamReplicas } from "./jetstream.ts";
import { conformance } from "./suite.ts";

conformance(jetStream);
conformance(jetStreamReplicas);
