// Brings the tables to the layout that this build knows (dapr-state-stores.md 0.8 and 7b). Runs in a database thread.
import type { DatabaseSync } from "node:sqlite";
import { Failed } from "./failures.ts";
import { LAYOUT_LEVEL, type Statements } from "./statements.ts";

/**
 * Makes what is missing, under SQLite's own exclusive lock, so that sidecars that start together do it once. A layout of
 * a later build is left alone, as Dapr does. Looks without a lock first: a file in use elsewhere must not delay a start.
 */
export function migrate(database: DatabaseSync, sql: Statements, metadataTable: string): void {
  if (isMade(database, sql, metadataTable)) return;
  database.exec("BEGIN EXCLUSIVE");
  try {
    database.exec(sql.createMetadata);
    database.exec(sql.createState);
    if (levelOf(database, sql, metadataTable) < LAYOUT_LEVEL) database.exec(sql.storeLevel);
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** The level alone does not tell: two Components with different tables of values may share the metadata table. */
function isMade(database: DatabaseSync, sql: Statements, metadataTable: string): boolean {
  const tables = database.prepare(sql.countTables).get()?.count;
  return tables === 2 && levelOf(database, sql, metadataTable) >= LAYOUT_LEVEL;
}

/** 0 when there is no row. */
function levelOf(database: DatabaseSync, sql: Statements, metadataTable: string): number {
  const text = database.prepare(sql.level).get()?.value;
  if (text === undefined) return 0;
  if (typeof text === "string" && /^\d{1,9}$/.test(text)) return Number(text);
  const message = `the row 'migrations' of table ${metadataTable} holds no whole number; is it a table of something else?`;
  throw new Failed({ code: "corrupt", message: `${message} Set metadataTableName to another name` });
}
