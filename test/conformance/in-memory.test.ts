// The conformance suite over state.in-memory.
import { inMemory } from "./in-memory.ts";
import { conformance } from "./suite.ts";

conformance(inMemory);
