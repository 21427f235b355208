// Makes the schema and the tables, or completes those of an older Dapr, as Dapr does it without a lock, so that both may
// start at the same moment (dapr-state-stores.md 6b). Looks first: a server that takes no writes can still serve reads.
import { StoreError } from "../store.ts";
import { isMadeElsewhere } from "./failures.ts";
import type { Table } from "./layout.ts";
import type { Row, Session } from "./session.ts";
import { quoteName, type TableNames } from "./statements.ts";

/** `session` is one without a schema. */
export async function makeSchema(session: Session, schema: string): Promise<void> {
  await change(session, `CREATE DATABASE IF NOT EXISTS ${quoteName(schema)} CHARACTER SET utf8mb4`);
}

/** Gives the table of the values as it is. Rejects with a StoreError when it is none of Dapr's layout. */
export async function migrate(session: Session, names: TableNames): Promise<Table> {
  if ((await columnsOf(session, names.metadata)).size === 0) await change(session, createMetadata(names.metadata));
  let columns = await columnsOf(session, names.state);
  for (const step of stepsFor(names.state, columns)) await change(session, step);
  columns = await columnsOf(session, names.state);
  mustBeLayout(names.state, columns);
  await mustHaveTransactions(session, names.state);
  const { rows } = await query(session, "SELECT @@max_allowed_packet AS packet");
  const key = columns.get("id");
  return {
    parsesJson: columns.get("value")?.type === "json",
    charset: String(key?.charset),
    collation: String(key?.collation),
    packetBytesMax: Number(rows[0]?.packet),
  };
}

/** The columns by their names in lower case; empty without a table. */
async function columnsOf(session: Session, table: string): Promise<ReadonlyMap<string, Row>> {
  const text = `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, CHARACTER_SET_NAME AS charset, COLLATION_NAME AS collation
    FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?`;
  const { rows } = await query(session, text, [table]);
  return new Map(rows.map((row) => [String(row.name).toLowerCase(), row]));
}

const ROW_ID = "row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT";

/**
 * A table of our own compares keys byte by byte. In comments that begin with M! MariaDB reads what stands in them, in
 * those that begin with !80017 MySQL.
 */
function createState(name: string): string {
  return `CREATE TABLE IF NOT EXISTS ${quoteName(name)} (
    id VARCHAR(255) CHARACTER SET utf8mb4 /*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */
      NOT NULL PRIMARY KEY,
    value JSON NOT NULL,
    isbinary BOOLEAN NOT NULL,
    insertDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updateDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    eTag VARCHAR(36) NOT NULL,
    expiredate TIMESTAMP NULL,
    ${ROW_ID},
    INDEX expiredate_idx (expiredate),
    UNIQUE KEY row_id_uidx (row_id)) ENGINE = InnoDB`;
}

function createMetadata(name: string): string {
  return `CREATE TABLE IF NOT EXISTS ${quoteName(name)} (id VARCHAR(255) NOT NULL PRIMARY KEY, value TEXT NOT NULL)
    ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4`;
}

function stepsFor(name: string, columns: ReadonlyMap<string, Row>): readonly string[] {
  if (columns.size === 0) return [createState(name)];
  // What is no table of Dapr's is left as it is.
  if (missingIn(columns).some((column) => column !== "expiredate")) return [];
  const table = quoteName(name);
  return [
    ...(columns.has("expiredate")
      ? []
      : [`ALTER TABLE ${table} ADD COLUMN expiredate TIMESTAMP NULL, ADD INDEX expiredate_idx (expiredate)`]),
    ...(columns.has("row_id")
      ? []
      : [`ALTER TABLE ${table} ADD COLUMN ${ROW_ID}, ADD UNIQUE KEY row_id_uidx (row_id)`]),
  ];
}

const NEEDED = ["id", "value", "isbinary", "insertdate", "updatedate", "etag", "expiredate"];

function missingIn(columns: ReadonlyMap<string, Row>): readonly string[] {
  return NEEDED.filter((column) => !columns.has(column));
}

function mustBeLayout(name: string, columns: ReadonlyMap<string, Row>): void {
  const missing = missingIn(columns);
  if (missing.length === 0) return;
  throw new StoreError(
    "corrupt",
    `the table ${name} has no column ${missing.join(", ")}: it is not in the layout of state.mysql. Name another table`,
  );
}

/** Transactions are promised, and an engine without them would break the promise without a word. */
async function mustHaveTransactions(session: Session, table: string): Promise<void> {
  const text = `SELECT t.ENGINE AS engine, e.TRANSACTIONS AS transactions FROM information_schema.TABLES AS t
    LEFT JOIN information_schema.ENGINES AS e ON e.ENGINE = t.ENGINE WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = ?`;
  const { rows } = await query(session, text, [table]);
  if (rows[0]?.transactions === "YES") return;
  throw new StoreError(
    "unavailable",
    `the table ${table} has the engine ${rows[0]?.engine}, which has no transactions. Run ALTER TABLE ${quoteName(table)} ENGINE = InnoDB`,
  );
}

/** What another sidecar has made in the meantime is as good; the next look tells. */
async function change(session: Session, text: string): Promise<void> {
  try {
    await query(session, text, null);
  } catch (error) {
    if (!isMadeElsewhere(error)) throw error;
  }
}

/** Nothing here is called lasting: what a lost connection leaves behind is found and finished by the next opening. */
function query(session: Session, text: string, values: readonly string[] | null = []): ReturnType<Session["run"]> {
  return session.run({ text, lasting: false }, values);
}
