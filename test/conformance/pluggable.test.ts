// The conformance suite over a pluggable component.
import { pluggableOwn } from "./pluggable.ts";
import { conformance } from "./suite.ts";

conformance(pluggableOwn);
