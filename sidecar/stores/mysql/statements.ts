// The statements of a store, written once for its tables. Values only ever come as parameters; names of tables are checked
// with the fields. Knows no connection.
import type { Table } from "./layout.ts";
import type { Statement } from "./session.ts";

export interface TableNames {
  readonly state: string;
  readonly metadata: string;
}

export interface Statements {
  /** Key twice. Columns of a row: value, encoded, etag, expires. */
  readonly get: Statement;
  /** Keys, as many as `keysPadded` gives. The same and id. Also for keys that only compare equal. */
  readonly getMany: (keys: number) => Statement;
  /** Key, value, isbinary, ETag, ttl. Changes nothing where the key of the row only compares equal. */
  readonly put: Statement;
  /** The same; changes nothing where a live row is. */
  readonly create: Statement;
  /** Value, isbinary, new ETag, ttl, key twice, ETag. */
  readonly replace: Statement;
  /** Key twice. */
  readonly remove: Statement;
  /** Key twice, ETag. */
  readonly removeIf: Statement;
  /** Key. The id of the row whose key compares equal. */
  readonly find: Statement;
  readonly ping: Statement;
  /** Keys: locks their rows, and makes those that are not there, as expired ones. Only with a later COMMIT. */
  readonly take: (keys: number) => Statement;
  /** Keys. Locks and gives id, etag, live. */
  readonly look: (keys: number) => Statement;
  /** As `put`, for rows that are locked. Only with a later COMMIT. */
  readonly putAll: (rows: number) => Statement;
  /** Keys. Only with a later COMMIT. */
  readonly removeAll: (keys: number) => Statement;
  /** Interval in milliseconds. Changes nothing when another sidecar has cleaned up within it. */
  readonly claimCleanup: Statement;
  /** Removes some expired rows. */
  readonly cleanup: Statement;
}

/** Expired rows that one statement removes: others that want their keys wait no longer than that. */
export const CLEANUP_ROWS_MAX = 1000;

/** A row of this second is expired, as with Dapr. */
export const LIVE = "(expiredate IS NULL OR expiredate > NOW())";
/** The bytes of the key, whatever the column's character set and collation. */
export const KEY_BYTES = "CAST(CONVERT(id USING utf8mb4) AS BINARY)";
export const ROW =
  "CAST(CONVERT(value USING utf8mb4) AS BINARY) AS value, isbinary AS encoded, eTag AS etag, UNIX_TIMESTAMP(expiredate) AS expires";

/** The column holds whole seconds: the one that has begun is not counted, so that no value goes early. */
const EXPIRY = "NOW() + INTERVAL (CAST(? AS SIGNED) + (MICROSECOND(NOW(6)) > 0)) SECOND";
/** For a row that is made only to be locked. */
const LONG_AGO = "'2000-01-01 00:00:00'";
const INSERT = "(id, value, isbinary, eTag, expiredate) VALUES";
const VALUES = `(?, ?, ?, ?, ${EXPIRY})`;

export function statementsFor(names: TableNames, table: Table): Statements {
  const state = quoteName(names.state);
  const metadata = quoteName(names.metadata);
  const key = keyParameter(table);
  const equal = `id = ${key} AND ${KEY_BYTES} = CAST(? AS BINARY)`;
  const sameEtag = "CAST(CONVERT(eTag USING utf8mb4) AS BINARY) = CAST(? AS BINARY)";
  const keyList = (count: number): string => new Array(count).fill(key).join(", ");
  const sameKey = `${KEY_BYTES} = CAST(CONVERT(VALUES(id) USING utf8mb4) AS BINARY)`;
  return {
    get: reading(`SELECT ${ROW} FROM ${state} WHERE ${equal} AND ${LIVE}`),
    getMany: (keys) => reading(`SELECT id, ${ROW} FROM ${state} WHERE id IN (${keyList(keys)}) AND ${LIVE}`),
    put: lasting(`INSERT INTO ${state} ${INSERT} ${VALUES} ON DUPLICATE KEY UPDATE ${overwriteIf(sameKey)}`),
    create: lasting(
      `INSERT INTO ${state} ${INSERT} ${VALUES} ON DUPLICATE KEY UPDATE ${overwriteIf(`${sameKey} AND NOT ${LIVE}`)}`,
    ),
    replace: lasting(
      `UPDATE ${state} SET value = ?, isbinary = ?, eTag = ?, expiredate = ${EXPIRY} WHERE ${equal} AND ${LIVE} AND ${sameEtag}`,
    ),
    remove: lasting(`DELETE FROM ${state} WHERE ${equal}`),
    removeIf: lasting(`DELETE FROM ${state} WHERE ${equal} AND ${LIVE} AND ${sameEtag}`),
    find: reading(`SELECT id FROM ${state} WHERE id = ${key}`),
    ping: reading(`SELECT 1 FROM ${state} LIMIT 1`),
    take: (keys) => {
      const rows = new Array(keys).fill(`(?, 'null', 0, '', ${LONG_AGO})`).join(", ");
      return reading(`INSERT INTO ${state} ${INSERT} ${rows} ON DUPLICATE KEY UPDATE id = id`);
    },
    look: (keys) =>
      reading(`SELECT id, eTag AS etag, ${LIVE} AS live FROM ${state} WHERE id IN (${keyList(keys)}) FOR UPDATE`),
    putAll: (rows) =>
      reading(
        `INSERT INTO ${state} ${INSERT} ${new Array(rows).fill(VALUES).join(", ")} ON DUPLICATE KEY UPDATE ${OVERWRITE}`,
      ),
    removeAll: (keys) => reading(`DELETE FROM ${state} WHERE id IN (${keyList(keys)})`),
    // The time is written as Dapr does, by the server's own time zone; 100 ms of grace for a timer that fires early.
    claimCleanup: lasting(
      `INSERT INTO ${metadata} (id, value) VALUES ('last-cleanup', ${SERVER_NOW}) ON DUPLICATE KEY UPDATE
        value = IF(${SERVER_NOW} > CAST(value AS DATETIME) + INTERVAL (CAST(? AS SIGNED) - 100) * 1000 MICROSECOND, VALUES(value), value)`,
    ),
    cleanup: lasting(`DELETE FROM ${state} WHERE expiredate <= NOW() ORDER BY expiredate LIMIT ${CLEANUP_ROWS_MAX}`),
  };
}

const SERVER_NOW = "CONVERT_TZ(NOW(), '+00:00', @@global.time_zone)";
const OVERWRITE = overwriteIf("TRUE");

/** Assignments go from left to right and see those before them, so what the condition looks at comes last. */
function overwriteIf(condition: string): string {
  return ["value", "isbinary", "eTag", "expiredate"]
    .map((name) => `${name} = IF(${condition}, VALUES(${name}), ${name})`)
    .join(", ");
}

/**
 * A key as it is compared with the column, so that its index serves: of another character set than the connection's the
 * server would turn around the column instead. Characters that the set lacks become "?"; the bytes are compared beside.
 */
export function keyParameter({ charset, collation }: Table): string {
  return charset === "utf8mb4" ? "?" : `CONVERT(? USING ${charset}) COLLATE ${collation}`;
}

/** Keys that one statement asks for. */
export const KEYS_MAX = 256;

export function quoteName(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

function reading(text: string): Statement {
  return { text, lasting: false };
}

function lasting(text: string): Statement {
  return { text, lasting: true };
}
