// A query's filter as a function over what its paths lead to in a value. The rules of each operator are in docs/query.md.
import type { ComparisonWord, Filter } from "./parse.ts";
import type { PathSet } from "./paths.ts";
import { areEqual, compareOrdered, type Operand, type Scalar } from "./scalar.ts";

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
  switch (word) {
    case "EQ":
      return (value) => areEqual(value, operand, loose);
    // Null and no member at all are not "not equal": in SQL, which Dapr's queries become, they are unknown.
    case "NEQ":
      return (value) => value !== undefined && value !== null && !areEqual(value, operand, loose);
    case "IN":
      return (value) => operands.some((each) => areEqual(value, each, loose));
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
