// The conformance suite over state.sqlite.
import { sqliteFile, sqliteMemory } from "./sqlite.ts";
import { conformance } from "./suite.ts";

conformance(sqliteFile);
conformance(sqliteMemory);
