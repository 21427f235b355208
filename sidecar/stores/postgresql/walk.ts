// Walks over the keys of a range by their bytes: a page, their number, deleting them; and the index that makes this a
// walk and not a search. Knows the range; when to walk is the core's business.
import { orNull } from "../sql/rows.ts";
import { endOf, LOOKED_MAX, reachOf } from "../sql/walk.ts";
import {
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import { mustBeText } from "./keys.ts";
import { type Layout, toFound } from "./layout.ts";
import { quoteTable, quoteText } from "./names.ts";
import { conditionOf } from "./narrowing.ts";
import type { Parameter, Session, Statement } from "./session.ts";
import { liveIn, preparedName, rowOf, type Tables, walkIndexName } from "./statements.ts";

export interface WalkStatements {
  /** $1 first key, $2 key after the last, $3 scope, $4 rows to look at, $5 rows to find. */
  readonly keys: Statement;
  /** The same with values; $6 bytes after which the page ends. */
  readonly values: Statement;
  /** The same for rows that fulfil a condition, whose parameters begin with $7. */
  readonly valuesWhere: (condition: string) => Statement;
  /** $1 first key, $2 key after the last, $3 scope. */
  readonly count: Statement;
  /** The same, $4 rows. */
  readonly remove: Statement;
  /** `mine`: this transaction may make the index; until it ends, no other one may. */
  readonly claimIndex: Statement;
  /** $1 table. Whether an index serves the walks: `valid` is null when there is none, false when `unfinished` is none yet. */
  readonly findIndex: Statement;
  readonly makeIndex: Statement;
}

/** The number of the first parameter of a condition. */
const CONDITION_FIRST = 7;

/** First key of the advisory lock under which a sidecar makes the index; the second is a hash of the table's name. */
export const BUILD_LOCK = 1346457167;

/** Whether the order of the database is that of the bytes; then the primary key's own index serves. No parameters. */
export const BYTE_ORDER: Statement = {
  name: "",
  // Through JSON, because PostgreSQL 14 and older have no column datlocprovider.
  text: `SELECT coalesce(to_jsonb(pg_database) ->> 'datlocprovider', 'c') = 'c' AND datcollate IN ('C', 'POSIX') AS yes
    FROM pg_database WHERE datname = current_database()`,
  lasting: false,
};

/** `isByteOrder`: see {@link BYTE_ORDER}. An index is used only when the order that a statement names is its own. */
export function walkStatements(layout: Layout, tables: Tables, isByteOrder: boolean): WalkStatements {
  const state = quoteTable(tables.state);
  const key = isByteOrder ? "key" : 'key COLLATE "C"';
  const live = `${liveIn(layout)} AND ${layout.columns.valid}`;
  const inRange = `${key} >= $1 AND ${key} < $2`;
  const own = "strpos(substr(key, char_length($3::text) + 1), '||') = 0";
  // Rows that are passed over count too: a page must not go through millions of others' rows to find a few.
  const end = `(SELECT key FROM ${state} WHERE ${inRange} ORDER BY ${key} OFFSET $4::bigint - 1 LIMIT 1)`;
  const page = (columns: string, also = ""): string =>
    `SELECT key, ${columns} FROM ${state} WHERE ${inRange} AND ${key} <= coalesce(looked.until, $2) AND ${own} AND ${live}${also} ORDER BY ${key} LIMIT $5`;
  // Materialized, else the server looks twice.
  const looked = `WITH looked AS MATERIALIZED (SELECT ${end} AS until)`;
  const from = "FROM looked LEFT JOIN LATERAL";
  const ordered = isByteOrder ? "page.key" : 'page.key COLLATE "C"';
  const values = (also: string): string =>
    `${looked} SELECT looked.until, page.* ${from} (
      SELECT *, sum(size) OVER (ORDER BY ${key} ROWS UNBOUNDED PRECEDING) - size AS before, count(*) OVER () AS hits
      FROM (${page(`${rowOf(layout)}, ${layout.columns.valueBytes} AS size`, also)}) AS hit
    ) AS page ON page.before < $6::bigint ORDER BY ${ordered}`;
  return {
    keys: walk(
      "list",
      `${looked} SELECT looked.until, page.key ${from} (${page("true")}) AS page ON true ORDER BY ${ordered}`,
    ),
    values: walk("list_values", values("")),
    // A condition has one text for each form that a query has: too many to keep them prepared.
    valuesWhere: (condition) => ({ name: "", text: values(` AND ${condition}`), lasting: false }),
    count: walk("count", `SELECT count(*)::float8 AS count FROM ${state} WHERE ${inRange} AND ${own} AND ${live}`),
    remove: {
      ...walk(
        "remove_range",
        `DELETE FROM ${state} WHERE key = ANY(ARRAY(SELECT key FROM ${state}
          WHERE ${inRange} AND ${own} AND ${live} ORDER BY ${key} LIMIT $4 FOR UPDATE))`,
      ),
      lasting: true,
    },
    claimIndex: {
      name: "",
      // Without a parameter: one would leave the answer's snapshot open, for which the build would wait.
      text: `SELECT pg_try_advisory_xact_lock(${BUILD_LOCK}, hashtext(${quoteText(state)})) AS mine`,
      lasting: false,
    },
    findIndex: {
      name: "",
      text: `SELECT bool_or(indisvalid) AS valid, min(indexrelid::regclass::text) FILTER (WHERE NOT indisvalid) AS unfinished
        FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attname = 'key'
        WHERE indrelid = to_regclass($1) AND indkey[0] = attnum AND indpred IS NULL
        AND indcollation[0] IN (SELECT oid FROM pg_collation WHERE collname IN ('C', 'POSIX'))`,
      lasting: false,
    },
    makeIndex: {
      name: "",
      text: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${walkIndexName(tables)} ON ${state} (key COLLATE "C")`,
      lasting: false,
    },
  };
}

function walk(name: string, text: string): Statement {
  return { name: preparedName(name, text), text, lasting: false };
}

/** Rejects with `refused` for a position that is not in the range. */
export async function listPage(
  session: Session,
  sql: WalkStatements,
  layout: Layout,
  request: ListRequest,
): Promise<ListPage> {
  const { values } = request;
  const condition = values ? conditionOf(request.where ?? null, layout.columns, CONDITION_FIRST) : null;
  const { limit, look } = reachOf(request);
  // What the server leaves out by itself does not come here.
  const parameters: Parameter[] = [...bounds(request.range, request.after), condition ? LOOKED_MAX : look, limit];
  if (values) parameters.push(LIST_BYTES_MAX, ...(condition?.parameters ?? []));
  const statement = condition === null ? sql[values ? "values" : "keys"] : sql.valuesWhere(condition.text);
  const { rows } = await session.run(statement, parameters);
  // Without a hit there is one row all the same, which tells how far the page has looked.
  const hits = rows.filter(({ key }) => typeof key === "string");
  const last = hits.at(-1);
  const until = rows[0]?.until;
  const isCut = hits.length === limit || (last !== undefined && values && hits.length < Number(last.hits));
  return {
    rows: hits.flatMap((row): readonly ListedRow[] => {
      // Null: a row of another form that is too large for the statement to look at.
      const found = values ? orNull(() => toFound(layout, row)) : null;
      return values && found === null ? [] : [{ key: String(row.key), found }];
    }),
    next: isCut ? String(last?.key) : typeof until === "string" ? until : null,
  };
}

export async function countRange(session: Session, sql: WalkStatements, range: KeyRange): Promise<number> {
  const { rows } = await session.run(sql.count, bounds(range, null));
  return Number(rows[0]?.count);
}

export async function removeRange(
  session: Session,
  sql: WalkStatements,
  range: KeyRange,
  limit: number,
): Promise<number> {
  const { count } = await session.run(sql.remove, [...bounds(range, null), limit]);
  return count;
}

/** The first key, the one after the last, and the scope. Throws a StoreError of code `refused`. */
export function bounds({ scope, start }: KeyRange, after: string | null): readonly [string, string, string] {
  mustBeText(start);
  if (after !== null && (!after.startsWith(start) || after.includes("\0") || !after.isWellFormed())) {
    throw new StoreError("refused", "the position is not one of this range");
  }
  // No key holds U+0000, so this is the first text after the position.
  return [after === null ? start : `${after}\u0001`, endOf(start) ?? AFTER_ALL, scope];
}

/** Greater than any key: none is so long. */
const AFTER_ALL = "\u{10ffff}".repeat(1000);
