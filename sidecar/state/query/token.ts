// Page tokens of queries: the place of the page's last row, and for a walk by key where in the store it stood.
import { makePageToken, readPageToken, type TokenSubject, tokenSubject } from "../page-token.ts";
import type { StoreEntry } from "../table.ts";
import { JsonNumber, spelledNumber } from "./number.ts";
import type { Place, SortValue } from "./order.ts";
import { type Query, QueryFault } from "./parse.ts";

export interface QueryPosition {
  readonly place: Place;
  /** Where the store's walk begins again (`ListRequest.after`); null for its beginning. */
  readonly after: string | null;
}

/** How a token writes a sort value: a number's text stands in an array, so that it is not taken for a string. */
type WrittenValue = boolean | string | null | readonly [string];

/** A token is good for the same filter and sort of the same caller; the limit may change from page to page. */
export function querySubject(entry: StoreEntry, { filter, sort }: Query): TokenSubject {
  return tokenSubject(entry, "query", "", JSON.stringify([filter, sort]));
}

export function writeQueryToken(subject: TokenSubject, { place, after }: QueryPosition): string {
  const by = place.by.map((value): WrittenValue => (value instanceof JsonNumber ? [value.text] : value));
  return makePageToken(subject, JSON.stringify([by, place.key, after]));
}

/** Null for "". Throws {@link QueryFault} for a token that was altered or made for another query, store or app. */
export function readQueryToken(subject: TokenSubject, token: string, sortKeys: number): QueryPosition | null {
  if (token === "") return null;
  const text = readPageToken(subject, token);
  const position = text === null ? null : readPosition(text, sortKeys);
  if (position !== null) return position;
  throw new QueryFault(
    "page.token: got a token that was altered, or made for another query, store or app; want the one that the page before answered",
  );
}

/** Anybody can make a token that passes its check, so what stands in it may still be anything. */
function readPosition(text: string, sortKeys: number): QueryPosition | null {
  const read = parsed(text);
  if (!Array.isArray(read) || read.length !== 3) return null;
  const [by, key, after]: unknown[] = read;
  if (!Array.isArray(by) || by.length !== sortKeys || typeof key !== "string") return null;
  if (after !== null && typeof after !== "string") return null;
  const values = by.map(readValue);
  return values.some((value) => value === undefined)
    ? null
    : { place: { by: values.map((value) => value ?? null), key }, after };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No text of ours: told as a token that was altered.
    return null;
  }
}

function readValue(value: unknown): SortValue | undefined {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (!Array.isArray(value) || typeof value[0] !== "string") return undefined;
  return spelledNumber(value[0]) ?? undefined;
}
