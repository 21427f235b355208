// The order of a query's rows: by its sort keys, then by the row's key, so that no two rows stand on one place and a page
// can begin behind the last one whatever was written meanwhile.
import { compareUtf8 } from "#kit/utf8-order.ts";
import { JsonNumber } from "./number.ts";
import type { SortKey } from "./parse.ts";
import type { PathSet } from "./paths.ts";
import { compareOrdered, type Scalar } from "./scalar.ts";

/** What a value is sorted by: "none" is for null, objects, arrays, and where there is no member. */
export type SortValue = boolean | JsonNumber | string | null;

/** A row's place in the order. */
export interface Place {
  /** One per sort key. */
  readonly by: readonly SortValue[];
  readonly key: string;
}

/** Strings count with so many characters, numbers with so many digits: a place must fit into a page token. */
export const SORT_LENGTH_MAX = 256;

export class RowOrder {
  readonly #keys: readonly SortKey[];
  readonly #slots: readonly number[];

  constructor(keys: readonly SortKey[], paths: PathSet) {
    this.#keys = keys;
    this.#slots = keys.map(({ path }) => paths.add(path));
  }

  /** `found`: what the slots of the path set have; null for a value that is no JSON. */
  placeOf(key: string, found: readonly Scalar[] | null): Place {
    return { key, by: this.#slots.map((slot) => toSortValue(found?.[slot])) };
  }

  /** Below 0 when `left` comes first. */
  compare(left: Place, right: Place): number {
    for (const [index, { descending }] of this.#keys.entries()) {
      const difference = compareSortValues(left.by[index] ?? null, right.by[index] ?? null, descending);
      if (difference !== 0) return difference;
    }
    return compareUtf8(left.key, right.key);
  }
}

function toSortValue(scalar: Scalar): SortValue {
  if (typeof scalar === "boolean") return scalar;
  if (scalar instanceof JsonNumber) return scalar.shortened(SORT_LENGTH_MAX);
  if (typeof scalar !== "string") return null;
  if (scalar.length <= SORT_LENGTH_MAX) return scalar;
  const cut = scalar.slice(0, SORT_LENGTH_MAX);
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}

/** Nothing comes last in both directions; else false, true, numbers, strings, or all of it turned round. */
function compareSortValues(left: SortValue, right: SortValue, descending: boolean): number {
  if (left === null || right === null) return Number(left === null) - Number(right === null);
  const difference = rankOf(left) - rankOf(right) || (compareOrdered(left, right) ?? 0);
  return descending ? -difference : difference;
}

function rankOf(value: boolean | JsonNumber | string): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  return value instanceof JsonNumber ? 2 : 3;
}
