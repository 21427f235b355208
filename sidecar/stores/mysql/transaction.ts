// Several changes as one transaction of the server: take all keys, look, then write (dapr-state-stores.md 6c). Works on one
// connection; knows nothing of retries.
import { type Batch as AnyBatch, batchOf, mustHold } from "../sql/batch.ts";
import { ReplyError, SqlError } from "../sql/failure.ts";
import { keysPadded, rowsByStatement } from "../sql/lists.ts";
import { type Change, StoreError, type Write } from "../store.ts";
import { mustBeText, mustFit, type ValueColumns } from "./layout.ts";
import type { Session, Statement } from "./session.ts";
import { KEYS_MAX, type Statements } from "./statements.ts";

const BEGIN: Statement = { text: "START TRANSACTION", lasting: false, transaction: "begins" };
const COMMIT: Statement = { text: "COMMIT", lasting: true, transaction: "ends" };
const ROLLBACK: Statement = { text: "ROLLBACK", lasting: false, transaction: "ends" };

export type Batch = AnyBatch<string, PutRow>;

interface PutRow extends ValueColumns {
  readonly key: string;
  readonly etag: string;
  readonly ttlSec: number | null;
  readonly where: string;
  /** Of the value. */
  readonly bytes: number;
}

export interface BatchOptions {
  /** Throws a StoreError for a value or a TTL that the layout cannot hold. */
  readonly toColumns: (write: Write) => ValueColumns;
  readonly newEtag: () => string;
}

/** Judges keys and values by themselves. Throws a StoreError that names the change. */
export function toBatch(changes: readonly Change[], { toColumns, newEtag }: BatchOptions): Batch {
  return batchOf(changes, {
    checkKey: (key, isWritten) => (isWritten ? mustFit(key) : mustBeText(key)),
    toEtag: (etag) => etag,
    toRow: (write, where) => {
      const columns = toColumns(write);
      const { key, ttlSec } = write;
      return { ...columns, key, etag: newEtag(), ttlSec, where, bytes: Buffer.byteLength(columns.value) };
    },
  });
}

/** Applies all or nothing. Rejects with a StoreError; the session is then out of the transaction, or not used again. */
export async function apply(session: Session, sql: Statements, batch: Batch): Promise<void> {
  await session.run(BEGIN);
  try {
    // A row can be locked only when it is there, so those that are not are made first, as expired ones that nobody sees.
    // Then whoever shares a key waits here, in the order of the keys, and nothing changes between the look and the writes.
    for (const keys of keysPadded(batch.keys, KEYS_MAX)) await session.run(sql.take(keys.length), keys);
    const held = await check(session, sql, batch);
    // Of a key that only compares equal to the one of a row, nothing is there to delete.
    const removed = batch.removed.filter((key) => held.has(key));
    for (const keys of keysPadded(removed, KEYS_MAX)) await session.run(sql.removeAll(keys.length), keys);
    for (const rows of rowsByStatement(batch.put))
      await session.run(sql.putAll(rows.length), rows.flatMap(parametersOf));
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
    if (!(error instanceof ReplyError) || error.code !== "timeout") throw error;
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
  const held = new Set<string>();
  const live = new Map<string, unknown>();
  for (const padded of keysPadded(keys, KEYS_MAX)) {
    for (const { id, etag, live: isLive } of (await session.run(sql.look(padded.length), padded)).rows) {
      held.add(String(id));
      if (Number(isLive) === 1) live.set(String(id), etag);
    }
  }
  mustHold(conditions, live);
  const lost = put.find(({ key }) => !held.has(key));
  if (lost !== undefined) throw collision(lost.where);
  return held;
}

function parametersOf({ key, value, isBinary, etag, ttlSec }: PutRow): readonly (string | null)[] {
  return [key, value, isBinary, etag, ttlSec === null ? null : String(ttlSec)];
}

/** A key for which there can be no row, because the table takes another one for the same. */
export function collision(where: string): StoreError {
  return new StoreError(
    "refused",
    `${where}the collation of the table takes another key that is there for the same; see "Keys" in docs/stores/mysql.md`,
  );
}
