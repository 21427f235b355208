// How far a page of a walk over keys goes: in rows that it looks at, in rows and bytes that it gives, and to which key.
// Knows no statement.
import { LIST_BYTES_MAX, type ListRequest } from "../store.ts";

/** Rows that a page looks at for each that it may give, and at least. */
const LOOKED_PER_ROW = 10;
const LOOKED_MIN = 1000;
/** Rows that a page looks at, at most. */
export const LOOKED_MAX = 10_000;
/** Rows of a page with values: to know their bytes a server reads them all, and they can be large. */
export const ROWS_WITH_VALUES_MAX = 250;

export interface Reach {
  /** Rows that the page may give. */
  readonly limit: number;
  /** Rows that it looks at to find them: others' rows are passed over, and there may be millions of those. */
  readonly look: number;
}

export function reachOf({ limit: asked, values }: Pick<ListRequest, "limit" | "values">): Reach {
  const limit = values ? Math.min(asked, ROWS_WITH_VALUES_MAX) : asked;
  return { limit, look: Math.max(limit, Math.min(LOOKED_MAX, Math.max(LOOKED_MIN, limit * LOOKED_PER_ROW))) };
}

/** How many values of these sizes, in bytes, make a page: the one with which its bytes are reached is the last. */
export function fitting(sizes: readonly number[]): number {
  let bytes = 0;
  const end = sizes.findIndex((size) => {
    bytes += size;
    return bytes >= LIST_BYTES_MAX;
  });
  return end < 0 ? sizes.length : end + 1;
}

const LAST_CODE_POINT = 0x10ffff;

/** The first text that is greater than all that begin with `start`, by their bytes in UTF-8; null where there is none. */
export function endOf(start: string): string | null {
  const points = Array.from(start, (character) => character.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === LAST_CODE_POINT) continue;
    // Surrogates are no characters of their own.
    return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return null;
}
