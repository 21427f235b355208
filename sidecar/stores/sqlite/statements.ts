// All SQL text of the driver, for given table names. Times come in as whole seconds since 1970 and are kept as
// "YYYY-MM-DD HH:MM:SS" in UTC, as Dapr keeps them (dapr-state-stores.md 7b).

export interface Tables {
  readonly state: string;
  readonly metadata: string;
}

/** Rows that one cleanup step removes at most, so that writes wait for one step and not for a whole table. */
export const CLEANUP_ROWS_MAX = 1000;

/** Rows that one page of a walk looks at at most, told or not, so that other reads come between. */
export const LOOKED_ROWS_MAX = 10_000;
/** Rows that one step of a count looks at. */
export const COUNT_ROWS_MAX = 50_000;

/** The number that the row 'migrations' holds once the layout is made. */
export const LAYOUT_LEVEL = 1;

export interface Statements {
  /** key, now */
  readonly get: string;
  /** key, now */
  readonly liveEtag: string;
  /** key, value as bytes, is_binary, etag, expiry or null, now */
  readonly put: string;
  /** key */
  readonly remove: string;
  /** first key as bytes, first key beyond, key to be skipped or null, where the part after the scope begins, now */
  readonly listKeys: string;
  /** the same, with values, which are not checked */
  readonly listRows: string;
  /** the same; good where `raw` is 0: rows of raw bytes are counted without a look at their values */
  readonly countRange: string;
  /** first key as bytes, first key beyond, most rows, where the part after the scope begins, now */
  readonly removeRange: string;
  readonly ping: string;
  /** now, interval in milliseconds; changes a row exactly when no sidecar cleaned within the interval */
  readonly claimCleanup: string;
  /** now */
  readonly cleanup: string;
  readonly countTables: string;
  readonly level: string;
  readonly createMetadata: string;
  readonly createState: string;
  readonly storeLevel: string;
}

/** Table names are identifiers that the fields have checked; the quotes are for names that begin with a digit. */
export function statementsFor(tables: Tables): Statements {
  const state = `"${tables.state}"`;
  const metadata = `"${tables.metadata}"`;
  const live = "key = ?1 AND (expiration_time IS NULL OR expiration_time > datetime(?2, 'unixepoch'))";
  // A range of the primary key's own index, which is in the order of the bytes. LIKE would need another, and take %.
  const range = "key >= CAST(?1 AS TEXT) AND key < ?2";
  const page = `${range} AND key IS NOT CAST(?3 AS TEXT)`;
  const seen = `(instr(substr(CAST(key AS BLOB), ?4), x'7C7C') = 0
      AND (expiration_time IS NULL OR expiration_time > datetime(?5, 'unixepoch')))`;
  // CASE, because AND may look at both sides. A call out of SQL costs more than the rest: ASCII, which most keys are, is
  // told without one.
  const named = `CASE WHEN key NOT GLOB '*[^ -~]*' AND instr(CAST(key AS BLOB), x'00') = 0 THEN 1
      ELSE is_utf8(CAST(key AS BLOB)) END`;
  const nameable = `CASE WHEN ${seen} THEN ${named} ELSE 0 END`;
  const raw = "is_binary IS NOT 0";
  const told = `CASE WHEN NOT ${seen} THEN 0 WHEN NOT ${named} THEN 0
      WHEN ${raw} THEN is_base64(CAST(value AS BLOB)) ELSE value IS NOT NULL END`;
  return {
    // Values go in and out as bytes through CAST: no decoding, and U+0000 inside a text survives.
    get: `SELECT CAST(value AS BLOB) AS value, is_binary AS isBinary, CAST(etag AS TEXT) AS etag,
      unixepoch(expiration_time) AS expiresAtSec FROM ${state} WHERE ${live}`,
    liveEtag: `SELECT CAST(etag AS TEXT) AS etag FROM ${state} WHERE ${live}`,
    put: `INSERT INTO ${state} (key, value, is_binary, etag, expiration_time, update_time)
      VALUES (?1, CAST(?2 AS TEXT), ?3, ?4, datetime(?5, 'unixepoch'), datetime(?6, 'unixepoch'))
      ON CONFLICT (key) DO UPDATE SET value = excluded.value, is_binary = excluded.is_binary, etag = excluded.etag,
      expiration_time = excluded.expiration_time, update_time = excluded.update_time`,
    remove: `DELETE FROM ${state} WHERE key = ?1`,
    listKeys: `SELECT CAST(key AS BLOB) AS key, ${told} AS told,
      CASE WHEN ${raw} THEN coalesce(octet_length(value), 0) ELSE 0 END AS checked
      FROM ${state} WHERE ${page} ORDER BY ${state}.key`,
    listRows: `SELECT CAST(key AS BLOB) AS key, ${nameable} AS told,
      CASE WHEN ${seen} THEN CAST(value AS BLOB) END AS value,
      is_binary AS isBinary, CAST(etag AS TEXT) AS etag, unixepoch(expiration_time) AS expiresAtSec
      FROM ${state} WHERE ${page} ORDER BY ${state}.key`,
    countRange: `SELECT count(*) AS looked, coalesce(sum(told), 0) AS told, coalesce(sum(raw), 0) AS raw, max(key) AS last
      FROM (SELECT CAST(key AS BLOB) AS key, ${raw} AS raw,
      CASE WHEN value IS NULL THEN 0 ELSE ${nameable} END AS told
      FROM ${state} WHERE ${page} ORDER BY ${state}.key LIMIT ${COUNT_ROWS_MAX})`,
    removeRange: `DELETE FROM ${state} WHERE rowid IN (SELECT rowid FROM ${state} WHERE ${range} AND ${told} LIMIT ?3)`,
    ping: `SELECT 1 AS one FROM ${state} LIMIT 1`,
    // 100 ms of grace, as Dapr gives, so that a timer that fires a little early still counts.
    claimCleanup: `INSERT INTO ${metadata} (key, value) VALUES ('last-cleanup', datetime(?1, 'unixepoch'))
      ON CONFLICT (key) DO UPDATE SET value = excluded.value
      WHERE unixepoch(value) IS NULL OR (?1 - unixepoch(value)) * 1000 > ?2 - 100`,
    cleanup: `DELETE FROM ${state} WHERE rowid IN (SELECT rowid FROM ${state}
      WHERE expiration_time < datetime(?1, 'unixepoch') LIMIT ${CLEANUP_ROWS_MAX})`,
    countTables: `SELECT count(*) AS count FROM sqlite_schema WHERE type = 'table'
      AND name COLLATE NOCASE IN ('${tables.state}', '${tables.metadata}')`,
    level: `SELECT CAST(value AS TEXT) AS value FROM ${metadata} WHERE key = 'migrations'`,
    createMetadata: `CREATE TABLE IF NOT EXISTS ${metadata} (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)`,
    createState: `CREATE TABLE IF NOT EXISTS ${state} (
      key TEXT NOT NULL PRIMARY KEY,
      value TEXT NOT NULL,
      is_binary BOOLEAN NOT NULL,
      etag TEXT NOT NULL,
      expiration_time TIMESTAMP DEFAULT NULL,
      update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)`,
    storeLevel: `INSERT INTO ${metadata} (key, value) VALUES ('migrations', '${LAYOUT_LEVEL}')
      ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  };
}
