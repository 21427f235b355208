// Several changes as one transaction of the server: take all keys, look, then write (dapr-state-stores.md 6c). Works on one
// connection; knows nothing of retries.
import { SqlError } from "../sql/failure.ts";
import { type Change, StoreError, type Write } from "../store.ts";
import { MysqlError } from "./failures.ts";
import { mustBeText, mustFit, type ValueColumns } from "./layout.ts";
import type { Session, Statement } from "./session.ts";
import { keysPadded, type Statements } from "./statements.ts";

const BEGIN: Statement = { text: "START TRANSACTION", lasting: false, transaction: "begins" };
const COMMIT: Statement = { text: "COMMIT", lasting: true, transaction: "ends" };
const ROLLBACK: Statement = { text: "ROLLBACK", lasting: false, transaction: "ends" };

/** Rows that one statement writes, and the bytes of their values: all of it has to fit into max_allowed_packet. */
const PUT_ROWS_MAX = 64;
const PUT_BYTES_MAX = 1024 * 1024;

/**
 * What changes come to: of several of one key the last one counts, for all are judged by the state before the first. Keys
 * are sorted, so that transactions that share some meet them in the same order.
 */
export interface Batch {
  readonly keys: readonly string[];
  readonly conditions: readonly Condition[];
  readonly removed: readonly string[];
  readonly put: readonly PutRow[];
}

interface Condition {
  readonly key: string;
  /** Null: no live row may be there. */
  readonly etag: string | null;
  /** "change 2 of 3: " */
  readonly where: string;
}

interface PutRow extends ValueColumns {
  readonly key: string;
  readonly etag: string;
  readonly ttlSec: number | null;
  readonly where: string;
}

export interface BatchOptions {
  /** Throws a StoreError for a value or a TTL that the layout cannot hold. */
  readonly toColumns: (write: Write) => ValueColumns;
  readonly newEtag: () => string;
}

/** Judges keys and values by themselves. Throws a StoreError that names the change. */
export function toBatch(changes: readonly Change[], { toColumns, newEtag }: BatchOptions): Batch {
  const conditions: Condition[] = [];
  const last = new Map<string, PutRow | null>();
  for (const [index, change] of changes.entries()) {
    const where = `change ${index + 1} of ${changes.length}: `;
    const { key, etag } = change.kind === "upsert" ? change.write : change.removal;
    const put = naming(where, () => {
      if (change.kind === "delete") mustBeText(key);
      else mustFit(key);
      return change.kind === "delete" ? null : toColumns(change.write);
    });
    if (etag !== null) conditions.push({ key, etag, where });
    else if (change.kind === "upsert" && change.write.firstWrite) conditions.push({ key, etag: null, where });
    const ttlSec = change.kind === "upsert" ? change.write.ttlSec : null;
    last.set(key, put === null ? null : { ...put, key, etag: newEtag(), ttlSec, where });
  }
  const keys = [...last.keys()].sort();
  const rows = keys.map((key) => last.get(key) ?? null);
  return {
    keys,
    conditions,
    removed: keys.filter((_, index) => rows[index] === null),
    put: rows.filter((row) => row !== null),
  };
}

function naming<T>(where: string, judge: () => T): T {
  try {
    return judge();
  } catch (error) {
    if (error instanceof StoreError) throw new StoreError(error.code, where + error.message);
    throw error;
  }
}

/** Applies all or nothing. Rejects with a StoreError; the session is then out of the transaction, or not used again. */
export async function apply(session: Session, sql: Statements, batch: Batch): Promise<void> {
  await session.run(BEGIN);
  try {
    // A row can be locked only when it is there, so those that are not are made first, as expired ones that nobody sees.
    // Then whoever shares a key waits here, in the order of the keys, and nothing changes between the look and the writes.
    for (const keys of keysPadded(batch.keys)) await session.run(sql.take(keys.length), keys);
    const held = await check(session, sql, batch);
    // Of a key that only compares equal to the one of a row, nothing is there to delete.
    const removed = batch.removed.filter((key) => held.has(key));
    for (const keys of keysPadded(removed)) await session.run(sql.removeAll(keys.length), keys);
    for (const rows of statementsOf(batch.put)) await session.run(sql.putAll(rows.length), rows.flatMap(parametersOf));
  } catch (error) {
    // Where this fails too, the session says so, and the pool ends it.
    await session.run(ROLLBACK).catch(() => undefined);
    throw error;
  }
  await commit(session);
}

async function commit(session: Session): Promise<void> {
  try {
    await session.run(COMMIT);
  } catch (error) {
    if (!(error instanceof MysqlError) || error.code !== "timeout") throw error;
    // Stopped while it waited for a replica, the server may have committed all the same.
    session.destroy("broken");
    throw new SqlError("unknown-outcome", `mysql at ${session.server} stopped the commit; the write may have happened`);
  }
}

/** Compares the conditions, and gives the keys of the batch that have a row of their own. */
async function check(
  session: Session,
  sql: Statements,
  { keys, conditions, put }: Batch,
): Promise<ReadonlySet<string>> {
  const rows = new Map<string, { readonly etag: unknown; readonly live: boolean }>();
  for (const padded of keysPadded(keys)) {
    for (const { id, etag, live } of (await session.run(sql.look(padded.length), padded)).rows)
      rows.set(String(id), { etag, live: Number(live) === 1 });
  }
  for (const { key, etag, where } of conditions) {
    const row = rows.get(key);
    if (etag === null) {
      if (row?.live === true) throw conflict(where, "item already exists and no etag was passed");
    } else if (row?.live !== true) throw conflict(where, "there is no value under the key, or it has expired");
    else if (row.etag !== etag) throw conflict(where, "the value has another etag than the one passed");
  }
  const lost = put.find(({ key }) => !rows.has(key));
  if (lost !== undefined) throw collision(lost.where);
  return new Set(rows.keys());
}

function statementsOf(rows: readonly PutRow[]): readonly (readonly PutRow[])[] {
  const statements: PutRow[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const current = statements.at(-1);
    const size = Buffer.byteLength(row.value);
    bytes += size;
    if (current !== undefined && current.length < PUT_ROWS_MAX && bytes <= PUT_BYTES_MAX) current.push(row);
    else {
      statements.push([row]);
      bytes = size;
    }
  }
  return statements;
}

function parametersOf({ key, value, isBinary, etag, ttlSec }: PutRow): readonly (string | null)[] {
  return [key, value, isBinary, etag, ttlSec === null ? null : String(ttlSec)];
}

function conflict(where: string, why: string): StoreError {
  return new StoreError("etag-mismatch", where + why);
}

/** A key for which there can be no row, because the table takes another one for the same. */
export function collision(where: string): StoreError {
  return new StoreError(
    "refused",
    `${where}the collation of the table takes another key that is there for the same; see "Keys" in docs/stores/mysql.md`,
  );
}
