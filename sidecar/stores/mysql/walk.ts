// Walks over the keys of a range along the primary key, by their bytes: a page, their number, deleting them. Knows the
// range; when to walk is the core's business. Only for tables that compare keys by their bytes: by other collations the
// servers lose rows that begin with a text.
import {
  type Found,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import { mustBeText, toFound } from "./layout.ts";
import type { Parameter, Row, Session, Statement } from "./session.ts";
import { keysPadded, LIVE, quoteName, type Statements } from "./statements.ts";

export interface WalkStatements {
  /** Scope, range, rows to look at twice, rows to find. Columns id, number, ours, encoded. */
  readonly page: Statement;
  /** Keys. Those whose rows are in the layout, with the bytes of their values: id, size. */
  readonly sizes: (keys: number) => Statement;
  /** Range, scope. */
  readonly count: Statement;
  /** Range, scope, rows. */
  readonly removeRange: Statement;
}

/** The way back from base64 shows whether all of a text was. MySQL breaks its lines. */
const BASE64 = "JSON_UNQUOTE(value)";
const VALID = `CASE WHEN isbinary THEN COALESCE(JSON_TYPE(value) = 'STRING'
  AND CAST(REPLACE(TO_BASE64(FROM_BASE64(${BASE64})), CHAR(10), '') AS BINARY) = CAST(${BASE64} AS BINARY), FALSE) ELSE TRUE END`;
/** Behind the scope there is no further separator. */
const OWN = "LOCATE('||', id, CHAR_LENGTH(?) + 1) = 0";
const RANGE = "id >= ? AND id < ?";

export function walkStatements(name: string): WalkStatements {
  const state = quoteName(name);
  // Rows that are passed over count too: a page must not go through millions of others' rows to find a few. The values
  // of those that are not the range's own are not read.
  const looked = `SELECT id, isbinary, expiredate FROM ${state} WHERE ${RANGE} ORDER BY id LIMIT ?`;
  const seen = `SELECT id, isbinary AS encoded, (${OWN} AND ${LIVE}) AS ours, ROW_NUMBER() OVER (ORDER BY id) AS number
    FROM (${looked}) AS looked`;
  const mine = `${RANGE} AND ${OWN} AND ${LIVE} AND ${VALID}`;
  return {
    page: { text: `SELECT * FROM (${seen}) AS seen WHERE ours OR number = ? ORDER BY id LIMIT ?`, lasting: false },
    sizes: (keys) => {
      const list = new Array(keys).fill("?").join(", ");
      const text = `SELECT id, LENGTH(value) AS size FROM ${state} WHERE id IN (${list}) AND ${LIVE} AND ${VALID}`;
      return { text, lasting: false };
    },
    count: { text: `SELECT COUNT(*) AS count FROM ${state} WHERE ${mine}`, lasting: false },
    removeRange: { text: `DELETE FROM ${state} WHERE ${mine} ORDER BY id LIMIT ?`, lasting: true },
  };
}

/** Rows that a page looks at for each that it may give, and at least, and at most. */
const LOOKED_PER_ROW = 10;
const LOOKED_MIN = 1000;
const LOOKED_MAX = 10_000;
/** Rows of a page with values: the server reads them all to know their bytes, and they can be large. */
const ROWS_WITH_VALUES_MAX = 250;

/** Rejects with `refused` for a position that is not in the range. */
export async function listPage(
  session: Session,
  sql: WalkStatements & Pick<Statements, "getMany">,
  request: ListRequest,
): Promise<ListPage> {
  const { range, after, values } = request;
  const limit = values ? Math.min(request.limit, ROWS_WITH_VALUES_MAX) : request.limit;
  const look = Math.max(limit, Math.min(LOOKED_MAX, Math.max(LOOKED_MIN, limit * LOOKED_PER_ROW)));
  const { rows } = await session.run(sql.page, [
    range.scope,
    ...boundsOf(range, after),
    String(look),
    String(look),
    // One more than asked for tells whether there is a next page.
    String(limit + 1),
  ]);
  const ours = rows.filter((row) => Number(row.ours) === 1);
  const hits = ours.slice(0, limit);
  const until = rows.find((row) => Number(row.number) === look);
  const next = ours.length > limit ? String(hits.at(-1)?.id) : until === undefined ? null : String(until.id);
  return values ? withValues(session, sql, hits, next) : { rows: await inLayout(session, sql, hits), next };
}

/** The rows without those of raw bytes that are not in the layout; most pages have none to look into. */
async function inLayout(session: Session, sql: WalkStatements, hits: readonly Row[]): Promise<readonly ListedRow[]> {
  const raw = hits.filter(({ encoded }) => Number(encoded) === 1).map(({ id }) => String(id));
  const sizes = await sizesOf(session, sql, raw);
  return hits
    .filter(({ id, encoded }) => Number(encoded) !== 1 || sizes.has(String(id)))
    .map(({ id }) => ({ key: String(id), found: null }));
}

async function withValues(
  session: Session,
  sql: WalkStatements & Pick<Statements, "getMany">,
  hits: readonly Row[],
  next: string | null,
): Promise<ListPage> {
  const keys = hits.map(({ id }) => String(id));
  const sizes = await sizesOf(session, sql, keys);
  let bytes = 0;
  const end = keys.findIndex((key) => {
    bytes += sizes.get(key) ?? 0;
    return bytes >= LIST_BYTES_MAX;
  });
  // The row with which the bytes are reached is the last of the page.
  const told = end < 0 ? keys : keys.slice(0, end + 1);
  const found = new Map<string, Found>();
  for (const padded of keysPadded(told.filter((key) => sizes.has(key)))) {
    for (const row of (await session.run(sql.getMany(padded.length), padded)).rows) {
      const value = foundOrNull(row);
      if (value !== null) found.set(String(row.id), value);
    }
  }
  const rows = told.flatMap((key): readonly ListedRow[] => {
    const value = found.get(key);
    return value === undefined ? [] : [{ key, found: value }];
  });
  return { rows, next: told.length < keys.length ? (told.at(-1) ?? null) : next };
}

async function sizesOf(
  session: Session,
  sql: WalkStatements,
  keys: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const padded of keysPadded(keys)) {
    for (const { id, size } of (await session.run(sql.sizes(padded.length), padded)).rows)
      sizes.set(String(id), Number(size));
  }
  return sizes;
}

/** Null for a row that something else has written anew since its key was told. */
function foundOrNull(row: Row): Found | null {
  try {
    return toFound(row);
  } catch (error) {
    if (error instanceof StoreError && error.code === "corrupt") return null;
    throw error;
  }
}

export async function countRange(session: Session, sql: WalkStatements, range: KeyRange): Promise<number> {
  const { rows } = await session.run(sql.count, [...boundsOf(range, null), range.scope]);
  return Number(rows[0]?.count);
}

export async function removeRange(
  session: Session,
  sql: WalkStatements,
  range: KeyRange,
  limit: number,
): Promise<number> {
  const { changed } = await session.run(sql.removeRange, [...boundsOf(range, null), range.scope, String(limit)]);
  return changed;
}

/** The first key and the one after the last. Throws a StoreError of code `refused`. */
function boundsOf({ start }: KeyRange, after: string | null): readonly Parameter[] {
  mustBeText(start);
  if (after !== null && (!after.startsWith(start) || !after.isWellFormed()))
    throw new StoreError("refused", "the position is not one of this range");
  // The first text after the position is the one with a NUL behind it.
  return [after === null ? start : `${after}\0`, endOf(start)];
}

const LAST_CODE_POINT = 0x10ffff;
/** Greater than any key: none is so long. */
const AFTER_ALL = "\u{10ffff}".repeat(256);

/** The first text that is greater than all that begin with `start`, by their bytes. */
function endOf(start: string): string {
  const points = Array.from(start, (character) => character.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === LAST_CODE_POINT) continue;
    // Surrogates are no characters of their own.
    return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return AFTER_ALL;
}
