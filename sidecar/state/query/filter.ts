// A query's filter as a function over what its paths lead to in a value. The rules of each operator are in docs/query.md.
import { OperandSet } from "./operand-set.ts";
import type { ComparisonWord, Filter } from "./parse.ts";
import type { PathSet } from "./paths.ts";
import { compareOrdered, type Operand, type Scalar } from "./scalar.ts";

/** `found`: what each slot of the path set has; see `PathSet.read`. */
export type Matcher = (found: readonly Scalar[]) => boolean;

export interface FilterContext {
  /** Gets the filter's paths. */
  readonly paths: PathSet;
  /** `Traits.queryStrings` says "loose". */
  readonly loose: boolean;
}

export function compileFilter(filter: Filter, context: FilterContext): Matcher {
  if ("filters" in filter) {
    const parts = filter.filters.map((each) => compileFilter(each, context));
    if (filter.word === "AND") return (found) => parts.every((part) => part(found));
    return (found) => parts.some((part) => part(found));
  }
  const slot = context.paths.add(filter.path);
  const holds = comparison(filter.word, filter.operands, context.loose);
  return (found) => holds(found[slot]);
}

function comparison(word: ComparisonWord, operands: readonly Operand[], loose: boolean): (value: Scalar) => boolean {
  const [operand = null] = operands;
  const equal = new OperandSet(operands, loose);
  switch (word) {
    case "EQ":
    case "IN":
      return (value) => equal.has(value);
    // Null and no member at all are not "not equal": in SQL, which Dapr's queries become, they are unknown.
    case "NEQ":
      return (value) => value !== undefined && value !== null && !equal.has(value);
    case "GT":
      return (value) => (compareOrdered(value, operand) ?? -1) > 0;
    case "GTE":
      return (value) => (compareOrdered(value, operand) ?? -1) >= 0;
    case "LT":
      return (value) => (compareOrdered(value, operand) ?? 1) < 0;
    case "LTE":
      return (value) => (compareOrdered(value, operand) ?? 1) <= 0;
  }
}

/** How many comparisons a filter makes with a value at most; each of them may go over all of it. */
export function comparisonsOf(filter: Filter): number {
  if (!("filters" in filter)) return 1;
  return filter.filters.reduce((sum, each) => sum + comparisonsOf(each), 0);
}
