// One connection to the database with its prepared statements, as the layout wants it. Runs in a database thread.
// A connection notices that its file was deleted or replaced; whoever owns it then opens another.
import { type Stats, statSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Failed, nameOf, primaryCode, SQLITE } from "./failures.ts";
import type { ThreadSettings } from "./messages.ts";
import { migrate } from "./migration.ts";
import { addChecks } from "./rows.ts";
import { statementsFor } from "./statements.ts";

type Prepared = Readonly<
  Record<
    | "get"
    | "liveEtag"
    | "put"
    | "remove"
    | "listKeys"
    | "listRows"
    | "countRange"
    | "removeRange"
    | "ping"
    | "claimCleanup"
    | "cleanup",
    StatementSync
  >
>;

export interface Connection {
  readonly database: DatabaseSync;
  readonly prepared: Prepared;
  /** "wal", "delete", "memory": what the database really uses. */
  readonly journalMode: string;
  /** Throws when the path no longer leads to the file that was opened. */
  mustBeInPlace(): void;
}

/** Opens, sets the pragmas, brings the layout up to date. Throws and leaves nothing open. */
export function connect(settings: ThreadSettings): Connection {
  const database = new DatabaseSync(settings.location.uri, { timeout: settings.busyTimeoutMs });
  try {
    const journalMode = configure(database, settings);
    addChecks(database);
    const sql = statementsFor(settings.tables);
    if (!settings.location.readOnly) migrate(database, sql, settings.tables.metadata);
    const prepared: Prepared = {
      get: database.prepare(sql.get),
      liveEtag: database.prepare(sql.liveEtag),
      put: database.prepare(sql.put),
      remove: database.prepare(sql.remove),
      listKeys: database.prepare(sql.listKeys),
      listRows: database.prepare(sql.listRows),
      countRange: database.prepare(sql.countRange),
      removeRange: database.prepare(sql.removeRange),
      ping: database.prepare(sql.ping),
      claimCleanup: database.prepare(sql.claimCleanup),
      cleanup: database.prepare(sql.cleanup),
    };
    if (settings.readsOnly) database.exec("PRAGMA query_only = 1");
    return { database, prepared, journalMode, mustBeInPlace: placeCheck(settings.location.path) };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Gives the journal mode that holds in the end. */
function configure(database: DatabaseSync, settings: ThreadSettings): string {
  // Every acknowledged write survives a loss of power. The default of most builds, not of all.
  database.exec("PRAGMA synchronous = FULL");
  for (const pragma of settings.location.pragmas) database.exec(`PRAGMA ${pragma}`);
  const encoding = pragmaText(database, "encoding");
  if (encoding !== "UTF-8") {
    const message = `${nameOf(settings.location)} is encoded in ${encoding}; only UTF-8 gives values back byte by byte`;
    throw new Failed({ code: "unavailable", message });
  }
  if (settings.location.readOnly) return pragmaText(database, "journal_mode");
  return setJournalMode(database, settings);
}

function setJournalMode(database: DatabaseSync, settings: ThreadSettings): string {
  const wanted = settings.location.path === null ? "MEMORY" : settings.disableWal ? "DELETE" : "WAL";
  try {
    return pragmaText(database, `journal_mode = ${wanted}`);
  } catch (error) {
    // Others hold the file open in another mode, or it is read-only: it is served in the mode that it has.
    const code = primaryCode(error);
    if (code !== SQLITE.BUSY && code !== SQLITE.READONLY) throw error;
    return pragmaText(database, "journal_mode");
  }
}

/** The one value that a pragma answers, whatever its column is called. */
function pragmaText(database: DatabaseSync, pragma: string): string {
  const row = database.prepare(`PRAGMA ${pragma}`).get();
  return row === undefined ? "" : String(Object.values(row)[0]);
}

/**
 * SQLite keeps working on a file that was deleted or replaced, and what it writes there is lost. It looks only with a
 * rollback journal, not with a WAL; one stat per batch looks always.
 */
function placeCheck(path: string | null): () => void {
  if (path === null) return () => undefined;
  const opened = statSync(path);
  return () => {
    if (isSameFile(opened, statSync(path, { throwIfNoEntry: false }))) return;
    const message =
      `the database file ${path} was deleted or replaced while it was open; nothing was written to what is there now; ` +
      "the next request opens it anew";
    throw new Failed({ code: "unavailable", message });
  };
}

function isSameFile(left: Stats, right: Stats | undefined): boolean {
  return right !== undefined && left.ino === right.ino && left.dev === right.dev;
}
