// The text of a query (dapr-state-stores.md 0.7) into its parts. Error texts about filters are Dapr's. Stricter than
// Dapr in one thing: a member that nobody knows is refused, since `"filters"` for `"filter"` would answer with every row.
import { isUtf8 } from "node:buffer";
import { type JsonKind, JsonScanner } from "#kit/json-scanner.ts";
import { JsonNumber } from "./number.ts";
import type { Operand } from "./scalar.ts";

export type GroupWord = "AND" | "OR";
export type ComparisonWord = "EQ" | "NEQ" | "GT" | "GTE" | "LT" | "LTE" | "IN";

export type Filter =
  | { readonly word: GroupWord; readonly filters: readonly Filter[] }
  /** `operands`: one, but for IN. */
  | { readonly word: ComparisonWord; readonly path: string; readonly operands: readonly Operand[] };

export interface SortKey {
  readonly path: string;
  readonly descending: boolean;
}

export interface Query {
  /** Null for all rows. */
  readonly filter: Filter | null;
  readonly sort: readonly SortKey[];
  /** Most rows of the page; 0 for all rows at once. */
  readonly limit: number;
  /** Where the page before ended; "" for the first. */
  readonly token: string;
}

/** What is wrong with a query, in words for the one who wrote it. A fault of the JSON itself is a JsonFault. */
export class QueryFault extends Error {
  override readonly name = "QueryFault";
}

/** Groups within groups. */
export const FILTER_DEPTH_MAX = 32;
/** Filters of a query, groups included. */
export const FILTERS_MAX = 256;
/** Values of all INs of a query. */
export const IN_VALUES_MAX = 1000;
export const SORT_KEYS_MAX = 16;
/** Names in one path. */
export const PATH_PARTS_MAX = 32;
/** Rows of a page, and of an answer without pages. */
export const RESULTS_MAX = 10_000;

/** What has been read so far, held against the limits. */
interface Tally {
  filters: number;
  inValues: number;
}

/** Reads a query. Throws {@link QueryFault}, or JsonFault for what is no JSON. */
export function parseQuery(body: Buffer): Query {
  if (!isUtf8(body)) throw new QueryFault("the body is not valid UTF-8");
  const scanner = new JsonScanner(body);
  const read = { filter: null as Filter | null, sort: [] as SortKey[], limit: 0, token: "" };
  const tally = { filters: 0, inValues: 0 };
  readMembers(scanner, "the query", {
    filter: () => {
      read.filter = readTopFilter(scanner, tally);
    },
    sort: () => {
      read.sort = readSort(scanner);
    },
    page: () => {
      Object.assign(read, readPage(scanner));
    },
  });
  if (!scanner.atEnd()) throw new QueryFault("something stands behind the query; want one JSON object");
  return read;
}

/** Null and an object without members are no filter. */
function readTopFilter(scanner: JsonScanner, tally: Tally): Filter | null {
  if (isNull(scanner)) return null;
  if (scanner.kind() !== "object") throw new QueryFault("filter unit must be a map");
  return readUnit(scanner, tally, 1);
}

/** An object with an operator as its one member; null when it has none. */
function readUnit(scanner: JsonScanner, tally: Tally, depth: number): Filter | null {
  if (++tally.filters > FILTERS_MAX) throw new QueryFault(`the filter has more than ${FILTERS_MAX} operators`);
  if (depth > FILTER_DEPTH_MAX) throw new QueryFault(`the filter is nested deeper than ${FILTER_DEPTH_MAX} levels`);
  let filter: Filter | null = null;
  scanner.object((word) => {
    if (filter !== null) throw new QueryFault("filter unit must have a single element");
    filter = isGroup(word) ? readGroup(scanner, word, tally, depth) : readComparison(scanner, word, tally);
  });
  return filter;
}

function readGroup(scanner: JsonScanner, word: GroupWord, tally: Tally, depth: number): Filter {
  if (scanner.kind() !== "array") throw new QueryFault(`${word} filter must be an array`);
  const filters: Filter[] = [];
  scanner.array(() => {
    if (scanner.kind() !== "object") throw new QueryFault("filter unit must be a map");
    const filter = readUnit(scanner, tally, depth + 1);
    if (filter === null) throw new QueryFault("filter unit must have a single element");
    filters.push(filter);
  });
  if (filters.length < 2) throw new QueryFault(`${word} filter must contain at least two entries`);
  return { word, filters };
}

const COMPARISONS: ReadonlySet<string> = new Set(["EQ", "NEQ", "GT", "GTE", "LT", "LTE", "IN"]);

function isGroup(word: string): word is GroupWord {
  return word === "AND" || word === "OR";
}

function isComparison(word: string): word is ComparisonWord {
  return COMPARISONS.has(word);
}

function readComparison(scanner: JsonScanner, word: string, tally: Tally): Filter {
  if (!isComparison(word)) throw new QueryFault(`unsupported filter ${JSON.stringify(word.slice(0, 40))}`);
  if (scanner.kind() !== "object") throw new QueryFault(`${word} filter must be a map`);
  let pair: { path: string; operands: readonly Operand[] } | null = null;
  scanner.object((path) => {
    if (pair !== null) throw new QueryFault(`${word} filter must contain a single key/value pair`);
    checkPath(path);
    pair = { path, operands: word === "IN" ? readOperands(scanner, tally) : [readOperand(scanner, word)] };
  });
  if (pair === null) throw new QueryFault(`${word} filter must contain a single key/value pair`);
  return { word, ...(pair as { path: string; operands: readonly Operand[] }) };
}

function readOperands(scanner: JsonScanner, tally: Tally): readonly Operand[] {
  if (scanner.kind() !== "array") throw new QueryFault("IN filter value must be an array");
  const operands: Operand[] = [];
  scanner.array(() => {
    if (++tally.inValues > IN_VALUES_MAX) throw new QueryFault(`IN filters have more than ${IN_VALUES_MAX} values`);
    operands.push(readOperand(scanner, "IN"));
  });
  if (operands.length === 0) throw new QueryFault("IN filter value must contain at least one entry");
  return operands;
}

function readOperand(scanner: JsonScanner, word: ComparisonWord): Operand {
  const kind = scanner.kind();
  const isOrdered = word !== "EQ" && word !== "NEQ" && word !== "IN";
  if (kind === "string") return scanner.string();
  if (kind === "number") return new JsonNumber(scanner.number());
  if (isOrdered) throw wrongKind(`${word} filter value`, kind, "a number or a string");
  if (kind === "boolean") return scanner.span().toString() === "true";
  if (kind !== "null") throw wrongKind(`${word} filter value`, kind, "a string, a number, a boolean or null");
  scanner.span();
  return null;
}

function readSort(scanner: JsonScanner): SortKey[] {
  const keys: SortKey[] = [];
  if (isNull(scanner)) return keys;
  if (scanner.kind() !== "array") throw wrongKind("sort", scanner.kind(), "an array");
  scanner.array(() => {
    if (keys.length === SORT_KEYS_MAX) throw new QueryFault(`sort: got more than ${SORT_KEYS_MAX} keys`);
    keys.push(readSortKey(scanner, `sort[${keys.length}]`));
  });
  return keys;
}

function readSortKey(scanner: JsonScanner, place: string): SortKey {
  const read = { path: null as string | null, order: "" };
  readMembers(scanner, place, {
    key: () => {
      read.path = readText(scanner, `${place}.key`);
    },
    order: () => {
      read.order = readText(scanner, `${place}.order`);
    },
  });
  const { path, order } = read;
  if (path === null) throw new QueryFault(`${place}.key: got nothing, want the path of a member`);
  if (order !== "" && order !== "ASC" && order !== "DESC") {
    throw new QueryFault(`${place}.order: got ${JSON.stringify(order.slice(0, 40))}, want "ASC" or "DESC"`);
  }
  checkPath(path);
  return { path, descending: order === "DESC" };
}

function readPage(scanner: JsonScanner): { limit: number; token: string } {
  const read = { limit: 0, token: "" };
  readMembers(scanner, "page", {
    limit: () => {
      read.limit = readLimit(scanner);
    },
    token: () => {
      read.token = readText(scanner, "page.token");
    },
  });
  return read;
}

/** A whole number as Go reads one, without fraction and exponent. */
function readLimit(scanner: JsonScanner): number {
  if (isNull(scanner)) return 0;
  const kind = scanner.kind();
  if (kind !== "number") throw wrongKind("page.limit", kind, `a whole number from 0 to ${RESULTS_MAX}`);
  const text = scanner.number();
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (limit <= RESULTS_MAX) return limit;
  throw new QueryFault(`page.limit: got ${text.slice(0, 40)}, want a whole number from 0 to ${RESULTS_MAX}`);
}

function readText(scanner: JsonScanner, place: string): string {
  if (isNull(scanner)) return "";
  if (scanner.kind() !== "string") throw wrongKind(place, scanner.kind(), "a string");
  return scanner.string();
}

/** Null counts as an object without members. Names match in any case, as Go's do. */
function readMembers(scanner: JsonScanner, place: string, members: Readonly<Record<string, () => void>>): void {
  if (isNull(scanner)) return;
  if (scanner.kind() !== "object") throw wrongKind(place, scanner.kind(), "an object");
  scanner.object((name) => {
    const read = Object.entries(members).find(([known]) => known === name.toLowerCase())?.[1];
    if (read === undefined) {
      const want = Object.keys(members).join(", ");
      throw new QueryFault(`${place}: unknown member ${JSON.stringify(name.slice(0, 40))}, want ${want}`);
    }
    read();
  });
}

/** Takes a null that comes next. */
function isNull(scanner: JsonScanner): boolean {
  if (scanner.kind() !== "null") return false;
  scanner.span();
  return true;
}

function checkPath(path: string): void {
  if (path.split(".", PATH_PARTS_MAX + 1).length <= PATH_PARTS_MAX) return;
  throw new QueryFault(`path ${JSON.stringify(`${path.slice(0, 40)}…`)}: want at most ${PATH_PARTS_MAX} names`);
}

function wrongKind(place: string, kind: JsonKind, want: string): QueryFault {
  return new QueryFault(`${place}: got ${kind}, want ${want}`);
}
