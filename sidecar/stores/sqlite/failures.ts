// Turns what SQLite says into a StoreError's code and text. The one place that knows SQLite's result codes
// (https://www.sqlite.org/rescode.html). Runs in the database thread; texts name the file, never a key or a value.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { formatMs } from "#kit/duration.ts";
import type { Failure } from "./messages.ts";

/** An error whose code and text are settled already. */
export class Failed extends Error {
  override readonly name = "Failed";
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** What the text of a failure needs to know about the database. */
export interface Scene {
  /** Null for a database in memory. */
  readonly path: string | null;
  readonly busyTimeoutMs: number;
  /** The failing step is the one that makes writes durable. */
  readonly committing: boolean;
}

/** The primary result codes that decide something here. */
export const SQLITE = {
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  NOMEM: 7,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  PROTOCOL: 15,
  TOOBIG: 18,
  AUTH: 23,
  NOTADB: 26,
} as const;

type Explain = (database: string, scene: Scene) => Failure;

const unavailable = (message: string): Failure => ({ code: "unavailable", message });

const locked: Explain = (database, scene) =>
  unavailable(
    `${database} stayed locked by another process for longer than busyTimeout (${formatMs(scene.busyTimeoutMs)}); ` +
      "nothing was written; end the long transaction there, or raise busyTimeout",
  );

const damaged: Explain = (database) =>
  unavailable(`${database} is damaged or no SQLite database; put a backup in its place, no restart is needed`);

const noAccess: Explain = (database) =>
  unavailable(`no permission for ${database}; give this process's user the right to read and write it`);

const readOnly: Explain = (database) =>
  unavailable(
    `attempt to write a readonly database: ${database}; give this process's user the right to write the file and its ` +
      "directory, or, to read only, add mode=ro to connectionString (and immutable=1 where the disk is read-only)",
  );

const full: Explain = (database) =>
  unavailable(`no space left for ${database}: its disk or its max_page_count is full; nothing was written; free space`);

const EXPLANATIONS: ReadonlyMap<number, Explain> = new Map<number, Explain>([
  [SQLITE.PERM, noAccess],
  [SQLITE.BUSY, locked],
  [SQLITE.LOCKED, locked],
  [SQLITE.NOMEM, (database) => unavailable(`out of memory while working on ${database}; nothing was written`)],
  [SQLITE.READONLY, readOnly],
  [SQLITE.IOERR, ioError],
  [SQLITE.CORRUPT, damaged],
  [SQLITE.FULL, full],
  [SQLITE.CANTOPEN, cannotOpen],
  [SQLITE.PROTOCOL, (database) => unavailable(`the locking of ${database} failed; on a network disk set disableWAL`)],
  [SQLITE.TOOBIG, () => ({ code: "refused", message: "the value is larger than a row may be: 1,000,000,000 bytes" })],
  [SQLITE.AUTH, noAccess],
  [SQLITE.NOTADB, damaged],
]);

/** After these the connection is of no use any more, or another one would do better (a file that became writable). */
const RECONNECT_AFTER: ReadonlySet<number> = new Set<number>([
  SQLITE.READONLY,
  SQLITE.IOERR,
  SQLITE.CORRUPT,
  SQLITE.CANTOPEN,
  SQLITE.NOTADB,
]);

/** Any error of the database thread as a failure. */
export function explain(error: unknown, scene: Scene): Failure {
  if (error instanceof Failed) return error.failure;
  const database = nameOf(scene);
  const said = error instanceof Error ? error.message : String(error);
  const known = EXPLANATIONS.get(primaryCode(error));
  if (known === undefined) return { code: "failed", message: `${database}: ${said}` };
  const failure = known(database, scene);
  return { code: failure.code, message: `${failure.message} (SQLite: ${said})` };
}

/** "the database file /data/state.db" */
export function nameOf(scene: Pick<Scene, "path">): string {
  return scene.path === null ? "the database in memory" : `the database file ${scene.path}`;
}

/** A settled failure of a whole connection (its file moved) counts too. */
export function needsReconnect(error: unknown): boolean {
  return error instanceof Failed || RECONNECT_AFTER.has(primaryCode(error));
}

/** SQLite's primary result code; 0 for an error that is not SQLite's. The extended codes keep it in the low byte. */
export function primaryCode(error: unknown): number {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return 0;
  return error.errcode & 0xff;
}

function ioError(database: string, scene: Scene): Failure {
  if (!scene.committing) return unavailable(`the disk failed under ${database}; nothing was written`);
  // The pages may have reached the disk before its error did, and may come back after a crash.
  return { code: "unknown-outcome", message: `the disk failed under ${database} at the commit` };
}

function cannotOpen(database: string, scene: Scene): Failure {
  const directory = scene.path === null ? null : dirname(scene.path);
  if (directory !== null && !existsSync(directory))
    return unavailable(
      `the directory ${directory} of ${database} does not exist; create it, or change connectionString`,
    );
  return unavailable(
    `${database} cannot be opened; it must be a file in a directory that this process's user can read and write ` +
      "(for a file on a read-only disk add mode=ro and immutable=1 to connectionString)",
  );
}
