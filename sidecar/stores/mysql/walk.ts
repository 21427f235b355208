// Walks over the keys of a range along the primary key, by their bytes: a page, their number, deleting them. Knows the
// range; when to walk is the core's business. Only for tables that compare keys by their bytes: by other collations the
// servers lose rows that begin with a text.
import { keysPadded } from "../sql/lists.ts";
import { orNull } from "../sql/rows.ts";
import { endOf, fitting, reachOf } from "../sql/walk.ts";
import { type Found, type KeyRange, type ListedRow, type ListPage, type ListRequest, StoreError } from "../store.ts";
import { mustBeText, toFound } from "./layout.ts";
import type { Parameter, Row, Session, Statement } from "./session.ts";
import { KEYS_MAX, LIVE, quoteName, type Statements } from "./statements.ts";

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

/** Rejects with `refused` for a position that is not in the range. */
export async function listPage(
  session: Session,
  sql: WalkStatements & Pick<Statements, "getMany">,
  request: ListRequest,
): Promise<ListPage> {
  const { range, after, values } = request;
  const { limit, look } = reachOf(request);
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
  const told = keys.slice(0, fitting(keys.map((key) => sizes.get(key) ?? 0)));
  const found = new Map<string, Found>();
  const sized = told.filter((key) => sizes.has(key));
  for (const padded of keysPadded(sized, KEYS_MAX)) {
    for (const row of (await session.run(sql.getMany(padded.length), padded)).rows) {
      // Null: something else has written the row anew since its key was told.
      const value = orNull(() => toFound(row));
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
  for (const padded of keysPadded(keys, KEYS_MAX)) {
    for (const { id, size } of (await session.run(sql.sizes(padded.length), padded)).rows)
      sizes.set(String(id), Number(size));
  }
  return sizes;
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
  return [after === null ? start : `${after}\0`, endOf(start) ?? AFTER_ALL];
}

/** Greater than any key: none is so long. */
const AFTER_ALL = "\u{10ffff}".repeat(256);
