// Several changes as one transaction of the server: locks, then looks, then writes (dapr-state-stores.md 3c). Works on one
// connection; knows nothing of retries.
import { assert } from "#kit/assert.ts";
import { alreadyThere, batchOf, type Condition, mustHold } from "../sql/batch.ts";
import { SqlError } from "../sql/failure.ts";
import type { Change } from "../store.ts";
import { mustBeText, mustFit } from "./keys.ts";
import type { Layout } from "./layout.ts";
import type { Parameter, Session, Statement } from "./session.ts";
import type { Statements } from "./statements.ts";

const COMMIT: Statement = { name: "", text: "COMMIT", lasting: true };
const ROLLBACK: Statement = { name: "", text: "ROLLBACK", lasting: false };

/** What changes come to, by the statements that do it. */
export interface Batch {
  readonly keys: readonly string[];
  readonly conditions: readonly Condition<string>[];
  /** Keys with a delete anywhere, which go first: a row that is made again is a new one. None that must not be there. */
  readonly removed: readonly string[];
  readonly put: Rows;
  /** Rows that are only made where none is. */
  readonly created: Rows;
}

interface Row {
  readonly key: string;
  readonly ttlSec: number | null;
  readonly columns: readonly Parameter[];
}

interface Rows {
  readonly keys: readonly string[];
  /** As `putAll` and `createAll` take them. */
  readonly parameters: readonly Parameter[];
}

/** Judges keys, values and ETags by themselves. Throws a StoreError that names the change. */
export function toBatch(layout: Layout, changes: readonly Change[]): Batch {
  const { keys, conditions, put } = batchOf(changes, {
    checkKey: (key, isWritten) => (isWritten ? mustFit(key) : mustBeText(key)),
    toEtag: (etag) => layout.toEtag(etag),
    toRow: (write): Row => ({ key: write.key, ttlSec: write.ttlSec, columns: layout.toColumns(write) }),
  });
  const deleted = new Set(changes.flatMap((change) => (change.kind === "delete" ? [change.removal.key] : [])));
  // A key whose condition is that there is nothing: the lock holds only what is there, so the write has to look again.
  const absent = new Set(conditions.filter(({ etag }) => etag === null).map(({ key }) => key));
  const rowsWhere = (isAbsent: boolean): Rows => {
    const rows = put.filter(({ key }) => absent.has(key) === isAbsent);
    return toRows(layout, rows);
  };
  return {
    keys,
    conditions,
    removed: keys.filter((key) => deleted.has(key) && !absent.has(key)),
    put: rowsWhere(false),
    created: rowsWhere(true),
  };
}

function toRows({ columns: { value } }: Layout, rows: readonly Row[]): Rows {
  const keys = rows.map(({ key }) => key);
  const columns = value.map((_, column) => rows.map((row) => row.columns[column] ?? null));
  return { keys, parameters: [keys, rows.map(({ ttlSec }) => ttlSec), ...(columns as Parameter[])] };
}

/** Applies all or nothing. Rejects with a StoreError; the session is then out of the transaction, or not used again. */
export async function apply(session: Session, sql: Statements, batch: Batch): Promise<void> {
  await session.run(sql.begin);
  try {
    // Locks of row after row keep transactions from deadlocks only where the rows are there; those that make and remove the
    // same rows need another order. So each takes the numbers of its keys first, sorted: whoever shares a key waits here.
    // Of many keys these are the lowest numbers, which sets of keys that have much in common share too; the deadlocks that
    // are left the server ends, and the runner tries again.
    if (batch.keys.length > 1 && sql.take !== null) await session.run(sql.take, [batch.keys]);
    await check(session, sql, batch);
    if (batch.removed.length > 0) await session.run(sql.removeAll, [batch.removed]);
    if (batch.put.keys.length > 0) await session.run(sql.putAll, batch.put.parameters);
    if (batch.created.keys.length > 0) await create(session, sql, batch);
  } catch (error) {
    // Where this fails too, the session says so, and the pool ends it.
    await session.run(ROLLBACK).catch(() => undefined);
    throw error;
  }
  const { command } = await session.run(COMMIT);
  if (command !== "COMMIT")
    throw new SqlError("failed", `${session.server} undid the transaction instead of committing it`);
}

async function check(session: Session, sql: Statements, { keys, conditions }: Batch): Promise<void> {
  const { rows } = await session.run(sql.lock, [keys]);
  const live = new Map<string, unknown>();
  for (const { key, etag, live: isLive } of rows) if (isLive === true) live.set(String(key), etag);
  mustHold(conditions, live);
}

async function create(session: Session, sql: Statements, { created, conditions }: Batch): Promise<void> {
  const { rows } = await session.run(sql.createAll, created.parameters);
  if (rows.length === created.keys.length) return;
  const made = new Set(rows.map(({ key }) => key));
  const missed = conditions.find(({ key, etag }) => etag === null && created.keys.includes(key) && !made.has(key));
  assert(missed !== undefined, "a row that was not made has a condition");
  throw alreadyThere(missed.where);
}
