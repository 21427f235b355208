// The CQL of state.cassandra: full statements for one table. Knows no connection.

export interface Place {
  readonly keyspace: string;
  readonly table: string;
}

/** A name of the manifest as CQL means it: without quotes in lower case. */
export function nameOf(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1) : text.toLowerCase();
}

/** At each statement, its parameters. */
export interface Statements {
  /** Key. */
  readonly select: string;
  /** Key, value. */
  readonly insert: string;
  /** Key, value, seconds. */
  readonly insertWithTtl: string;
  /** Key. */
  readonly remove: string;
}

/** The statements of Dapr's own layout (dapr-state-stores.md 11b and 11c), for a table without ETags. */
export function plainStatements({ keyspace, table }: Place): Statements {
  const place = `"${keyspace}"."${table}"`;
  return {
    select: `SELECT value, ttl(value) AS ttl, toTimestamp(now()) AS now FROM ${place} WHERE key = ?`,
    insert: `INSERT INTO ${place} (key, value) VALUES (?, ?)`,
    insertWithTtl: `INSERT INTO ${place} (key, value) VALUES (?, ?) USING TTL ?`,
    remove: `DELETE FROM ${place} WHERE key = ?`,
  };
}

/** A condition of a lightweight transaction; its own parameters come last. */
export type Condition =
  /** There is no live value. */
  | "missing"
  /** Parameter: the new ETag, which no row has. Nothing else is true of every row, whether it is there or not. */
  | "any"
  /** Parameter: the ETag. */
  | "etag"
  /** Parameters: the ETag or null, and the value. For rows whose ETag column does not tell what is in them. */
  | "etag-and-value";

/** At each statement, its parameters. */
export interface ConditionalStatements {
  /** Key. */
  readonly select: string;
  /** Key. The ETag column, and when it and the value were written. */
  readonly selectWritten: string;
  /** Value, new ETag, key, and the condition's parameters. */
  readonly update: Readonly<Record<Condition, string>>;
  /** Seconds, value, new ETag, key, and the condition's parameters. */
  readonly updateWithTtl: Readonly<Record<Condition, string>>;
  /** Key, and the condition's parameters; "any": of every row that is there. */
  readonly remove: Readonly<Record<Exclude<Condition, "missing">, string>>;
}

/**
 * The statements of a table with an ETag column. An INSERT would leave a mark of its own that outlives the value's TTL,
 * and could have no condition but NOT EXISTS, which that mark fails: every write is an UPDATE.
 */
export function conditionalStatements({ keyspace, table }: Place): ConditionalStatements {
  const place = `"${keyspace}"."${table}"`;
  const update = (using: string): Readonly<Record<Condition, string>> => {
    const start = `UPDATE ${place}${using} SET value = ?, etag = ? WHERE key = ? IF`;
    return {
      missing: `${start} value = null`,
      any: `${start} etag != ?`,
      etag: `${start} etag = ?`,
      "etag-and-value": `${start} etag = ? AND value = ?`,
    };
  };
  const remove = `DELETE FROM ${place} WHERE key = ? IF`;
  const written = "writetime(value) AS valuewritten, writetime(etag) AS etagwritten";
  return {
    select: `SELECT value, etag, ttl(value) AS ttl, toTimestamp(now()) AS now, ${written} FROM ${place} WHERE key = ?`,
    selectWritten: `SELECT etag, ${written} FROM ${place} WHERE key = ?`,
    update: update(""),
    updateWithTtl: update(" USING TTL ?"),
    remove: {
      any: `${remove} EXISTS`,
      etag: `${remove} etag = ?`,
      "etag-and-value": `${remove} etag = ? AND value = ?`,
    },
  };
}

export const SELECT_COLUMNS =
  "SELECT column_name, kind, type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";

export const SELECT_KEYSPACE = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";

export const SELECT_MUTATION_LIMIT = "SELECT value FROM system_views.settings WHERE name = 'max_mutation_size'";

export const PING = "SELECT key FROM system.local";

export function createKeyspace(keyspace: string, replicationFactor: number): string {
  const replication = `{'class': 'SimpleStrategy', 'replication_factor': ${replicationFactor}}`;
  return `CREATE KEYSPACE IF NOT EXISTS "${keyspace}" WITH REPLICATION = ${replication}`;
}

export function createTable({ keyspace, table }: Place): string {
  return `CREATE TABLE IF NOT EXISTS "${keyspace}"."${table}" (key text, value blob, PRIMARY KEY (key))`;
}

export function addEtagColumn({ keyspace, table }: Place): string {
  return `ALTER TABLE "${keyspace}"."${table}" ADD etag text`;
}
