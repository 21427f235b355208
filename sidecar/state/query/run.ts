// The query API (dapr-state-api.md 1.15) over `Store.list`: every row of the caller's prefix is looked at, but for those that
// the store leaves out since the filter cannot take them; those that it takes are sorted and answered by the page. What it
// means is in docs/query.md. Knows no driver and no HTTP word.
import { assert } from "#kit/assert.ts";
import { JsonFault } from "#kit/json-scanner.ts";
import type { Narrowing } from "../../stores/narrowing.ts";
import { type Found, type ListedRow, type ListPage, StoreError } from "../../stores/store.ts";
import { invalid, queryNotSupported, type StateError } from "../errors.ts";
import { type Caller, failure, type StateService } from "../service.ts";
import type { StoreEntry } from "../table.ts";
import { walkPagesMax } from "../walk.ts";
import { comparisonsOf, compileFilter, type Matcher } from "./filter.ts";
import { narrowingOf } from "./narrowing.ts";
import { queryNatively } from "./native.ts";
import { RowOrder } from "./order.ts";
import { parseQuery, type Query, QueryFault, RESULTS_MAX } from "./parse.ts";
import { PathSet } from "./paths.ts";
import { Selection } from "./selection.ts";
import { type QueryPosition, querySubject, readQueryToken, writeQueryToken } from "./token.ts";

/** Rows that one query may look at. */
export const QUERY_ROWS_MAX = 100_000;
/** Bytes of the values that one query may look at. */
export const QUERY_BYTES_MAX: number = 256 * 1024 * 1024;
/** Rows of one page asked of the store. */
const STORE_PAGE_ROWS = 1000;
/** After so many bytes of values, each as often as it may be compared, other requests have their turn: about 10 ms. */
const TURN_BYTES = 1024 * 1024;

export interface QueryRequest {
  /** The query's JSON. */
  readonly body: Buffer;
  /** Most bytes of the answer, about, 0 for no limit: a page then ends earlier. One row is answered however large. */
  readonly bytesMax: number;
}

export interface QueryRow {
  /** Without the Component's prefix. */
  readonly key: string;
  readonly found: Found;
}

export interface QueryAnswer {
  readonly rows: readonly QueryRow[];
  /** For the next page; null after the last one, and always when the query has no `page.limit`. */
  readonly token: string | null;
}

/**
 * The rows that a query's filter takes, in its order. Throws, in this order: store-not-found, query-not-supported,
 * query-failed of fault `invalid` for an encrypted store, for a query that is none or goes beyond a limit, and of fault
 * `failed` when the store fails.
 */
export async function queryState(
  service: StateService,
  storeName: string,
  request: QueryRequest,
  caller: Caller,
): Promise<QueryAnswer> {
  const entry = service.find(storeName);
  const { features, list, query } = entry.store;
  const canWalk = features.list && list !== undefined;
  if (!canWalk && query === undefined) throw queryNotSupported(entry.name);
  if (entry.core.cipher !== null) throw refused(entry, "cannot query encrypted store");
  const answer = canWalk ? walking(service, entry, request, caller) : handing(service, entry, request, caller);
  try {
    return await service.count(entry, "query", caller, answer);
  } catch (error) {
    if (error instanceof QueryFault) throw refused(entry, error.message);
    throw failure("query-failed", failedText(entry), error, entry);
  }
}

/** The core goes through the keys itself. */
function walking(
  service: StateService,
  entry: StoreEntry,
  request: QueryRequest,
  caller: Caller,
): () => Promise<QueryAnswer> {
  const scan = understood(entry, () => prepare(entry, request));
  return () => run(service, scan, caller);
}

/** The store, which cannot list its keys, answers by itself. */
function handing(
  service: StateService,
  entry: StoreEntry,
  request: QueryRequest,
  caller: Caller,
): () => Promise<QueryAnswer> {
  const query = understood(entry, () => parseQuery(request.body));
  return () => queryNatively(service, { entry, query, bytesMax: request.bytesMax }, caller);
}

/** What `read` gives; what is wrong with the query's text is refused. */
function understood<T>(entry: StoreEntry, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof QueryFault || error instanceof JsonFault)) throw error;
    throw refused(entry, `failed to parse JSON query body: ${error.message}`);
  }
}

function failedText(entry: StoreEntry): string {
  return `state store ${entry.name} query failed`;
}

function refused(entry: StoreEntry, text: string): StateError {
  return invalid("query-failed", `${failedText(entry)}: ${text}`, entry.name);
}

/** A query that is ready to look at rows. */
interface Scan {
  readonly entry: StoreEntry;
  readonly query: Query;
  readonly paths: PathSet;
  /** Null takes every row. */
  readonly matches: Matcher | null;
  /** What the store may look for by itself. */
  readonly where: Narrowing | null;
  /** How often the bytes of a value may be gone over, 1 for reading it. */
  readonly passes: number;
  readonly order: RowOrder;
  readonly selection: Selection;
  /** Where the page before ended. */
  readonly begin: QueryPosition | null;
  /** The store tells its rows in the order of the answer, so that the walk can end with the page. */
  readonly isInOrder: boolean;
  /** What has been looked at by now. */
  readonly seen: { rows: number; bytes: number; turnBytes: number };
}

function prepare(entry: StoreEntry, { body, bytesMax }: QueryRequest): Scan {
  const query = parseQuery(body);
  const { traits } = entry.store;
  const begin = readQueryToken(querySubject(entry, query), query.token, query.sort.length);
  const paths = new PathSet();
  const loose = traits.queryStrings === "loose";
  const matches = query.filter === null ? null : compileFilter(query.filter, { paths, loose });
  const where = query.filter === null ? null : narrowingOf(query.filter);
  const passes = query.filter === null ? 1 : comparisonsOf(query.filter);
  const order = new RowOrder(query.sort, paths);
  const selection = new Selection(order, { rowsMax: query.limit || RESULTS_MAX, bytesMax });
  const isInOrder = query.sort.length === 0 && traits.listOrder === "key";
  const seen = { rows: 0, bytes: 0, turnBytes: 0 };
  return { entry, query, paths, matches, where, passes, order, selection, begin, isInOrder, seen };
}

async function run(service: StateService, scan: Scan, caller: Caller): Promise<QueryAnswer> {
  const { query, selection } = scan;
  let after = scan.begin?.after ?? null;
  /** Where the walk for the next page begins: with the store's page that held the last row of this one. */
  let resumeAt = after;
  for (let pages = 0; ; pages++) {
    const pagesMax = walkPagesMax(scan.entry);
    if (pages === pagesMax) throw tooMuch(`ask the store for more than ${pagesMax} pages of its keys`);
    const page = await readPage(service, scan, after, caller);
    for (const row of page.rows) {
      const isTaken = await look(scan, row, caller);
      if (isTaken && !selection.isCut) resumeAt = after;
      if (selection.isCut && (scan.isInOrder || query.limit === 0)) return answerOf(scan, resumeAt);
    }
    if (page.next === null) return answerOf(scan, null);
    after = page.next;
    await giveTurn(caller);
  }
}

/** Each page is a call of its own for the policies: their timeouts hold for it, and a retry does not begin anew. */
function readPage(service: StateService, scan: Scan, after: string | null, caller: Caller): Promise<ListPage> {
  const { entry, query, isInOrder, matches, where } = scan;
  const range = { scope: entry.keyPrefix, start: entry.keyPrefix };
  // Where every row is taken, one more than the page has tells whether there is another page.
  const limit = isInOrder && matches === null && query.limit > 0 ? query.limit + 1 : STORE_PAGE_ROWS;
  return service.attempt(entry, caller, { retry: null, conditional: false }, (call) => {
    const { store } = entry;
    assert(store.list !== undefined, "a store that declares list has it");
    return store.list({ range, after, limit: Math.min(limit, STORE_PAGE_ROWS), values: true, where }, call);
  });
}

/** Looks at one row. True when the filter takes it and it stands behind the page before. */
async function look(scan: Scan, { key, found }: ListedRow, caller: Caller): Promise<boolean> {
  assert(found !== null, "a row comes with its value when values were asked for");
  const { seen, order, paths } = scan;
  if (++seen.rows > QUERY_ROWS_MAX) throw tooMuch(`look at more than ${QUERY_ROWS_MAX} rows`);
  seen.bytes += found.bytes.length;
  if (seen.bytes > QUERY_BYTES_MAX) throw tooMuch(`look at values of more than ${QUERY_BYTES_MAX} bytes`);
  seen.turnBytes += found.bytes.length * scan.passes;
  if (seen.turnBytes > TURN_BYTES) {
    seen.turnBytes = 0;
    await giveTurn(caller);
  }
  const values = paths.size === 0 ? null : paths.read(found.bytes);
  if (scan.matches !== null && (values === null || !scan.matches(values))) return false;
  const place = order.placeOf(key.slice(scan.entry.keyPrefix.length), values);
  if (scan.begin !== null && order.compare(place, scan.begin.place) <= 0) return false;
  scan.selection.add({ place, found });
  return true;
}

/** Lets other requests be served, and ends for a client that has left. */
async function giveTurn(caller: Caller): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  if (caller.signal.aborted) throw new StoreError("timeout", "the caller left before the query was done");
}

function answerOf({ entry, query, selection }: Scan, after: string | null): QueryAnswer {
  if (selection.isCut && query.limit === 0) {
    throw new QueryFault(
      `the answer has more than ${RESULTS_MAX} rows, or more bytes than an answer may have; set page.limit and go on with page.token`,
    );
  }
  const rows = selection.rows.map(({ place, found }) => ({ key: place.key, found }));
  const last = selection.rows.at(-1);
  if (!selection.isCut || last === undefined) return { rows, token: null };
  return { rows, token: writeQueryToken(querySubject(entry, query), { place: last.place, after }) };
}

function tooMuch(what: string): QueryFault {
  return new QueryFault(
    `it would have to ${what}, and nothing is answered from a part of them; a query looks at all keys of the Component's keyPrefix: keep what is queried under a keyPrefix of its own, or list keys by their prefix (docs/own-api.md)`,
  );
}
