// Several changes as one transaction of the server: take all keys, compare, then write (dapr-state-stores.md 8c). Works on
// one connection; knows nothing of retries.
import { type Change, StoreError, type Write } from "../store.ts";
import type { Session, Values } from "./session.ts";
import { keysPadded, keyValues, type Statements } from "./statements.ts";

/** Keys that one statement takes or deletes, rows that one writes, and the bytes of their values. */
const KEYS_MAX = 256;
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
  readonly version: Buffer | null;
  /** "change 2 of 3: " */
  readonly where: string;
}

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
export function toBatch(changes: readonly Change[], options: BatchOptions): Batch {
  const conditions: Condition[] = [];
  const last = new Map<string, PutRow | null>();
  for (const [index, change] of changes.entries()) {
    const where = `change ${index + 1} of ${changes.length}: `;
    const { key } = change.kind === "upsert" ? change.write : change.removal;
    naming(where, () => {
      options.checkKey(key, change.kind === "upsert");
      const condition = conditionOf(change, where, options);
      if (condition !== null) conditions.push(condition);
      last.set(key, change.kind === "delete" ? null : putRowOf(change.write, options));
    });
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

function conditionOf(change: Change, where: string, { toVersion }: BatchOptions): Condition | null {
  const { key, etag } = change.kind === "upsert" ? change.write : change.removal;
  if (etag === null) return change.kind === "upsert" && change.write.firstWrite ? { key, version: null, where } : null;
  const version = toVersion(etag);
  if (version === null) throw otherEtag();
  return { key, version, where };
}

function putRowOf(write: Write, { toValues }: BatchOptions): PutRow {
  return { values: { Key: write.key, ...toValues(write), TTL: write.ttlSec }, bytes: write.bytes.length };
}

function naming(where: string, judge: () => void): void {
  try {
    judge();
  } catch (error) {
    if (error instanceof StoreError) throw new StoreError(error.code, where + error.message);
    throw error;
  }
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
    for (const rows of statementsOf(batch.put)) await session.run(sql.putAll(rows.length), numbered(rows));
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
  for (const { key, version, where } of conditions) {
    const current = live.get(key);
    if (version === null) {
      if (current !== undefined) throw conflict(where, "item already exists and no etag was passed");
    } else if (current === undefined) throw conflict(where, "there is no value under the key, or it has expired");
    else if (!(Buffer.isBuffer(current) && current.equals(version)))
      throw conflict(where, "the value has another etag than the one passed");
  }
}

function statementsOf(rows: readonly PutRow[]): readonly (readonly PutRow[])[] {
  const statements: PutRow[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const current = statements.at(-1);
    bytes += row.bytes;
    if (current !== undefined && current.length < PUT_ROWS_MAX && bytes <= PUT_BYTES_MAX) current.push(row);
    else {
      statements.push([row]);
      bytes = row.bytes;
    }
  }
  return statements;
}

/** The values of all rows, each name with the row's number behind it. */
function numbered(rows: readonly PutRow[]): Values {
  return Object.fromEntries(
    rows.flatMap(({ values }, row) => Object.entries(values).map(([name, value]) => [`${name}${row}`, value])),
  );
}

function conflict(where: string, why: string): StoreError {
  return new StoreError("etag-mismatch", where + why);
}

export function otherEtag(): StoreError {
  return new StoreError("etag-mismatch", "the value has another etag than the one passed, or there is none");
}
