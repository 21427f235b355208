// The statements of a store, written once for its layout and tables. Values only ever come as parameters; names of tables
// are checked and quoted before they come here. Knows no connection.
import { createHash } from "node:crypto";
import type { Layout } from "./layout.ts";
import { parseTableName, quoteName, quoteTable, quoteText, type TableName } from "./names.ts";
import type { Product } from "./product.ts";
import type { Statement } from "./session.ts";

export interface Tables {
  readonly state: TableName;
  readonly metadata: TableName;
}

/** Both names have been checked with the fields. */
export function tablesOf(state: string, metadata: string): Tables | null {
  const parsed = { state: parseTableName(state), metadata: parseTableName(metadata) };
  return parsed.state === null || parsed.metadata === null ? null : { state: parsed.state, metadata: parsed.metadata };
}

export interface Statements {
  /** $1 key. Columns of a row: value, encoded, etag, expiresAtMs. */
  readonly get: Statement;
  /** $1 keys. The same and the key. */
  readonly getMany: Statement;
  /** $1 key, $2 ttl in seconds or null, then the columns of a value. */
  readonly put: Statement;
  /** The same; changes no row where a live one is. */
  readonly create: Statement;
  /** The same, and the ETag last; changes no row where none has it. */
  readonly replace: Statement;
  /** $1 key. */
  readonly remove: Statement;
  /** $1 key, $2 ETag. */
  readonly removeIf: Statement;
  readonly ping: Statement;
  readonly begin: Statement;
  /** $1 keys. Waits for other transactions that share one of them. Null where the server has no locks for that. */
  readonly take: Statement | null;
  /** $1 keys. Locks the rows in the order of their keys and gives key, etag, live. */
  readonly lock: Statement;
  /** Arrays, one entry per row: $1 keys, $2 ttls, then the columns of a value. Only with a later COMMIT. */
  readonly putAll: Statement;
  /** The same; leaves live rows as they are and gives the keys of those that it wrote. */
  readonly createAll: Statement;
  /** $1 keys. Only with a later COMMIT. */
  readonly removeAll: Statement;
  /** $1 row's key, $2 interval in milliseconds. Changes no row when another sidecar has cleaned up within it. */
  readonly claimCleanup: Statement;
  /** Removes some expired rows. */
  readonly cleanup: Statement;
}

/** Expired rows that one statement removes: others that want their keys wait no longer than that. */
export const CLEANUP_ROWS_MAX = 10_000;

/** The server has room for few locks: of more keys some are taken. */
const TAKEN_KEYS_MAX = 32;

export interface StatementOptions {
  readonly product: Product;
  /** Of the store's calls. */
  readonly timeoutMs: number;
}

export function statementsFor(layout: Layout, tables: Tables, { product, timeoutMs }: StatementOptions): Statements {
  const { value, made, etag, touch, expiry } = layout.columns;
  const state = quoteTable(tables.state);
  const metadata = quoteTable(tables.metadata);
  const names = value.map(({ name }) => name).join(", ");
  const live = liveIn(layout);
  const condition = `${etag.name} = $`;
  const row = rowOf(layout);
  const set = `${value.map(({ name }) => `${name} = excluded.${name}`).join(", ")}, ${touch}, ${expiry} = excluded.${expiry}`;
  const single = value.map(({ type }, index) => `$${index + 3}::${type}`).join(", ");
  const first = made === null ? { name: "", sql: "" } : { name: `, ${made.name}`, sql: `, ${made.sql}` };
  const insert = `INSERT INTO ${state} AS held (key, ${expiry}, ${names}${first.name})
    VALUES ($1, statement_timestamp() + $2::bigint * interval '1 second', ${single}${first.sql})
    ON CONFLICT (key) DO UPDATE SET ${set}`;
  const insertAll = `INSERT INTO ${state} AS held (key, ${expiry}, ${names}${first.name})
    SELECT given.key, statement_timestamp() + given.ttl * interval '1 second',
      ${value.map(({ name, type }) => `given.${name}::${type}`).join(", ")}${first.sql}
    FROM unnest($1::text[], $2::bigint[], ${value.map(({ type }, index) => `$${index + 3}::${arrayType(type)}[]`).join(", ")})
      AS given (key, ttl, ${names})
    ON CONFLICT (key) DO UPDATE SET ${set}`;
  const expired = `held.${expiry} < statement_timestamp()`;
  const replaced = value.map(({ name, type }, index) => `${name} = $${index + 3}::${type}`).join(", ");
  const last = `$${value.length + 3}::${etag.type}`;
  return {
    get: lookup("get", `SELECT ${row} FROM ${state} WHERE key = $1 AND ${live}`),
    getMany: lookup("get_many", `SELECT key, ${row} FROM ${state} WHERE key = ANY($1::text[]) AND ${live}`),
    put: lasting("put", insert),
    create: lasting("create", `${insert} WHERE ${expired}`),
    replace: lasting(
      "replace",
      `UPDATE ${state} AS held SET ${replaced}, ${touch}, ${expiry} = statement_timestamp() + $2::bigint * interval '1 second'
        WHERE key = $1 AND ${live} AND ${etag.name} = ${last}`,
    ),
    remove: lasting("remove", `DELETE FROM ${state} WHERE key = $1`),
    removeIf: lasting("remove_if", `DELETE FROM ${state} WHERE key = $1 AND ${live} AND ${condition}2::${etag.type}`),
    ping: lookup("ping", `SELECT 1 FROM ${state} LIMIT 1`),
    // Half of it: others that wait for the locks then get them before their own time is up.
    begin: begin(product, Math.ceil(timeoutMs / 2)),
    take: product.advisoryLocks
      ? lookup(
          "take",
          `SELECT count(pg_advisory_xact_lock(${quoteText(state)}::regclass::oid::int4, number)) FROM
            (SELECT DISTINCT hashtext(key) AS number FROM unnest($1::text[]) AS key ORDER BY number LIMIT ${TAKEN_KEYS_MAX})
            AS numbers`,
        )
      : null,
    lock: lookup(
      "lock",
      `SELECT key, ${etag.name}::text AS etag, ${live} AS live FROM ${state} WHERE key = ANY($1::text[])
        ORDER BY ${product.keyOrder === "bytes" ? "key" : 'key COLLATE "C"'} FOR UPDATE`,
    ),
    putAll: lookup("put_all", insertAll),
    createAll: lookup("create_all", `${insertAll} WHERE ${expired} RETURNING key`),
    removeAll: lookup("remove_all", `DELETE FROM ${state} WHERE key = ANY($1::text[])`),
    // 100 ms of grace, as Dapr gives, so that a timer that fires a little early still counts.
    claimCleanup: lasting(
      "",
      `INSERT INTO ${metadata} AS held (key, value) VALUES ($1, statement_timestamp()::text)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
        WHERE statement_timestamp() - held.value::timestamptz > ($2::bigint - 100) * interval '1 millisecond'`,
    ),
    cleanup: lasting(
      "",
      `DELETE FROM ${state} WHERE key = ANY(ARRAY(SELECT key FROM ${state} WHERE ${expiry} < statement_timestamp()
        LIMIT ${CLEANUP_ROWS_MAX} FOR UPDATE SKIP LOCKED))`,
    ),
  };
}

/**
 * In the product's isolation, whatever the server's default. READ COMMITTED: each statement sees what was committed before
 * it, and the locks do the rest; SERIALIZABLE: who meets another one is undone and tries again. A client that says nothing
 * for `idleMs` hangs: the server then ends its session, which frees the locks.
 */
export function begin({ isolation }: Product, idleMs: number): Statement {
  const text = `BEGIN ISOLATION LEVEL ${isolation}; SET LOCAL idle_in_transaction_session_timeout = ${idleMs}`;
  return lookup("", text);
}

/** True for a row that is served: a row of this moment still is, as with Dapr. */
export function liveIn({ columns: { expiry } }: Layout): string {
  return `(${expiry} IS NULL OR ${expiry} >= statement_timestamp())`;
}

/** What to select of a row: the columns value, encoded, etag, expiresAtMs. */
export function rowOf({ columns: { readValue, etag, expiry } }: Layout): string {
  return `${readValue}, ${etag.name}::text AS etag, (EXTRACT(EPOCH FROM ${expiry}) * 1000)::float8 AS "expiresAtMs"`;
}

/** The index beside Dapr's own that walks by the bytes of the key need; Dapr does not look at it. */
export function walkIndexName({ state }: Tables): string {
  return quoteName(`pannier_${state.name}_key`);
}

/** jsonb would have to be quoted twice inside an array's text; text is not. */
function arrayType(type: string): string {
  return type === "jsonb" ? "text" : type;
}

/**
 * The name under which a connection keeps a statement. A part of it comes from the text: a pooler hands one connection of
 * the server from store to store, and a name that two of them share would run the one's statement with the other's values.
 */
export function preparedName(name: string, text: string): string {
  return `pannier_${name}_${createHash("sha256").update(text).digest("hex").slice(0, DIGEST_CHARACTERS)}`;
}

const DIGEST_CHARACTERS = 24;

function lookup(name: string, text: string): Statement {
  return { name: name === "" ? "" : preparedName(name, text), text, lasting: false };
}

function lasting(name: string, text: string): Statement {
  return { ...lookup(name, text), lasting: true };
}
