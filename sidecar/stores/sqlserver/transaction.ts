// Several changes as one transaction of the server: take all keys, compare, then write (dapr-state-stores.md 8c). Works on
// one connection; knows nothing of retries.
import { type Batch as AnyBatch, batchOf, mustHold, otherEtag } from "../sql/batch.ts";
import { keysPadded, rowsByStatement } from "../sql/lists.ts";
import type { Change, Write } from "../store.ts";
import type { Session, Values } from "./session.ts";
import { keyValues, type Statements } from "./statements.ts";

/** Keys that one statement takes or deletes. */
const KEYS_MAX = 256;

/** Its ETags are row versions. */
export type Batch = AnyBatch<Buffer, PutRow>;

interface PutRow {
  readonly values: Values;
  readonly bytes: number;
}

export interface BatchOptions {
  /** Throws a StoreError for a key that the layout cannot hold, or, where it is written, that is too long. */
  readonly checkKey: (key: string, isWritten: boolean) => void;
  /** Throws a StoreError for a value that it cannot hold. */
  readonly toValues: (write: Write) => Values;
  /** Throws a StoreError for what is no ETag; null for one that no row has. */
  readonly toVersion: (etag: string) => Buffer | null;
}

/** Judges keys, values and ETags by themselves. Throws a StoreError that names the change. */
export function toBatch(changes: readonly Change[], { checkKey, toValues, toVersion }: BatchOptions): Batch {
  return batchOf(changes, {
    checkKey,
    toEtag: (etag) => {
      const version = toVersion(etag);
      if (version === null) throw otherEtag();
      return version;
    },
    toRow: (write) => ({
      values: { Key: write.key, ...toValues(write), TTL: write.ttlSec },
      bytes: write.bytes.length,
    }),
  });
}

/** Applies all or nothing. Rejects with a StoreError; the session is then out of the transaction, or not used again. */
export async function apply(session: Session, sql: Statements, batch: Batch): Promise<void> {
  await session.begin();
  try {
    // Whoever shares a key waits here, also for one that has no row yet, and nothing changes between the look and the
    // writes.
    await check(session, sql, batch);
    for (const keys of keysPadded(batch.removed, KEYS_MAX))
      await session.run(sql.removeAll(keys.length), keyValues(keys));
    for (const rows of rowsByStatement(batch.put)) await session.run(sql.putAll(rows.length), numbered(rows));
  } catch (error) {
    // Where this fails too, the session says so, and the pool ends it.
    await session.rollback().catch(() => undefined);
    throw error;
  }
  await session.commit();
}

async function check(session: Session, sql: Statements, { keys, conditions }: Batch): Promise<void> {
  const live = new Map<string, unknown>();
  for (const padded of keysPadded(keys, KEYS_MAX)) {
    for (const { Key, RowVersion, Live } of await session.run(sql.take(padded.length), keyValues(padded)))
      if (Live === 1) live.set(String(Key), RowVersion);
  }
  mustHold(conditions, live, (held, given) => Buffer.isBuffer(held) && held.equals(given));
}

/** The values of all rows, each name with the row's number behind it. */
function numbered(rows: readonly PutRow[]): Values {
  return Object.fromEntries(
    rows.flatMap(({ values }, row) => Object.entries(values).map(([name, value]) => [`${name}${row}`, value])),
  );
}
