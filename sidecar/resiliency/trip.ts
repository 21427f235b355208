// The trip expression of a circuit breaker: CEL over the breaker's five counts (dapr-state-api.md 7.2). Loaded only when
// a resource has one. Knows no resource and no breaker.
import { Environment } from "@marcbachmann/cel-js";
import { nearest } from "#kit/nearest.ts";
import type { Counts, Trip } from "./breaker.ts";

/** Longest expression in characters. */
const TRIP_LENGTH_MAX = 1000;
/** Its parts, their nesting, and the items of a list in it: an expression is computed at every failure. */
const LIMITS = { maxAstNodes: 200, maxDepth: 20, maxListElements: 10, maxMapEntries: 10, maxCallArguments: 4 };

const VARIABLES = [
  "requests",
  "totalSuccesses",
  "totalFailures",
  "consecutiveSuccesses",
  "consecutiveFailures",
] as const satisfies readonly (keyof Counts)[];

/** What a breaker counts after three successes and three failures; no count is 0, so that one can be divided by. */
const SAMPLE: Counts = {
  requests: 6,
  totalSuccesses: 3,
  totalFailures: 3,
  consecutiveSuccesses: 1,
  consecutiveFailures: 1,
};

const WANT = `an expression that gives true or false, over ${VARIABLES.join(", ")}`;

/** The expression ready to be computed, or what was wanted instead of it. It throws where CEL does, say for x / 0. */
export function compileTrip(text: string): { readonly trip: Trip } | { readonly want: string } {
  if (text.length > TRIP_LENGTH_MAX) return { want: `an expression of at most ${TRIP_LENGTH_MAX} characters` };
  try {
    const expression = environment().parse(text);
    const { valid, type, error } = expression.check();
    if (!valid) return { want: `${WANT}: ${reason(error)}` };
    if (String(type) !== "bool") return { want: `${WANT}: it gives a value of type ${String(type)}` };
    const trip: Trip = (counts) => expression(asIntegers(counts)) === true;
    trip(SAMPLE);
    return { trip };
  } catch (error) {
    // Parsing and the trial run throw for nothing but the text.
    return { want: `${WANT}: ${reason(error)}` };
  }
}

function environment(): Environment {
  const made = new Environment({ limits: LIMITS });
  for (const name of VARIABLES) made.registerVariable(name, "int");
  return made;
}

/** CEL's integers are bigints here; a plain number would be a double, which compares otherwise with what is written. */
function asIntegers(counts: Counts): Record<string, bigint> {
  return Object.fromEntries(VARIABLES.map((name) => [name, BigInt(counts[name])]));
}

/** The first line: the others point into the text, which the fault shows anyway. */
function reason(error: unknown): string {
  const text = (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
  const unknown = /^Unknown variable: (\w+)$/.exec(text)?.[1];
  const near = unknown === undefined ? null : nearest(unknown, VARIABLES);
  return near === null ? text : `${text}; did you mean ${near}?`;
}
