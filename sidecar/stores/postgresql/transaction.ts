// Several changes as one transaction of the server: locks, then looks, then writes (dapr-state-stores.md 3c). Works on one
// connection; knows nothing of retries.
import { assert } from "#kit/assert.ts";
import { type Change, StoreError } from "../store.ts";
import { PostgresError } from "./failures.ts";
import type { Layout } from "./layout.ts";
import type { Parameter, Session, Statement } from "./session.ts";
import type { Statements } from "./statements.ts";

const COMMIT: Statement = { name: "", text: "COMMIT", lasting: true };
const ROLLBACK: Statement = { name: "", text: "ROLLBACK", lasting: false };

/**
 * What changes come to: of several of one key the last one counts, for all are judged by the state before the first. Keys
 * are sorted, so that transactions that create the same rows meet them in the same order.
 */
export interface Batch {
  readonly keys: readonly string[];
  readonly conditions: readonly Condition[];
  /** Keys with a delete anywhere, which go first: a row that is made again is a new one. None that must not be there. */
  readonly removed: readonly string[];
  readonly put: Rows;
  /** Rows that are only made where none is. */
  readonly created: Rows;
}

interface Condition {
  readonly key: string;
  /** As it is compared; null: no live row may be there. */
  readonly etag: string | null;
  /** "change 2 of 3: " */
  readonly where: string;
}

interface Rows {
  readonly keys: readonly string[];
  /** As `putAll` and `createAll` take them. */
  readonly parameters: readonly Parameter[];
}

interface Last {
  readonly change: Change;
  readonly where: string;
  readonly columns: readonly Parameter[];
}

/** Judges values and ETags by themselves. Throws a StoreError that names the change. */
export function toBatch(layout: Layout, changes: readonly Change[]): Batch {
  const conditions: Condition[] = [];
  const removed = new Set<string>();
  const last = new Map<string, Last>();
  for (const [index, change] of changes.entries()) {
    const where = `change ${index + 1} of ${changes.length}: `;
    const { key, etag } = change.kind === "upsert" ? change.write : change.removal;
    if (etag !== null) conditions.push({ key, etag: layout.toEtag(etag, where), where });
    else if (change.kind === "upsert" && change.write.firstWrite) conditions.push({ key, etag: null, where });
    if (change.kind === "delete") removed.add(key);
    last.set(key, { change, where, columns: change.kind === "upsert" ? columnsOf(layout, change.write, where) : [] });
  }
  const keys = [...last.keys()].sort();
  const upserts = keys.flatMap((key) => {
    const each = last.get(key);
    return each?.change.kind === "upsert" ? [{ ...each, write: each.change.write }] : [];
  });
  // A key whose condition is that there is nothing: the lock holds only what is there, so the write has to look again.
  const absent = new Set(conditions.filter(({ etag }) => etag === null).map(({ key }) => key));
  const rowsOf = (isCreated: boolean): Rows => {
    const rows = upserts.filter(({ write }) => absent.has(write.key) === isCreated);
    const columns = layout.columns.value.map((_, column) => rows.map((each) => each.columns[column] ?? null));
    const ttls = rows.map(({ write }) => write.ttlSec);
    const names = rows.map(({ write }) => write.key);
    return { keys: names, parameters: [names, ttls, ...(columns as Parameter[])] };
  };
  return {
    keys,
    conditions,
    removed: keys.filter((key) => removed.has(key) && !absent.has(key)),
    put: rowsOf(false),
    created: rowsOf(true),
  };
}

function columnsOf(layout: Layout, write: Parameters<Layout["toColumns"]>[0], where: string): readonly Parameter[] {
  try {
    return layout.toColumns(write);
  } catch (error) {
    if (error instanceof StoreError) throw new StoreError(error.code, where + error.message);
    throw error;
  }
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
    throw new PostgresError("failed", `${session.server} undid the transaction instead of committing it`);
}

async function check(session: Session, sql: Statements, { keys, conditions }: Batch): Promise<void> {
  const { rows } = await session.run(sql.lock, [keys]);
  const live = new Map<unknown, unknown>();
  for (const { key, etag, live: isLive } of rows) if (isLive === true) live.set(key, etag);
  for (const { key, etag, where } of conditions) {
    if (etag === null) {
      if (live.has(key)) throw conflict(where, "item already exists and no etag was passed");
    } else if (!live.has(key)) throw conflict(where, "there is no value under the key, or it has expired");
    else if (live.get(key) !== etag) throw conflict(where, "the value has another etag than the one passed");
  }
}

async function create(session: Session, sql: Statements, { created, conditions }: Batch): Promise<void> {
  const { rows } = await session.run(sql.createAll, created.parameters);
  if (rows.length === created.keys.length) return;
  const made = new Set(rows.map(({ key }) => key));
  const missed = conditions.find(({ key, etag }) => etag === null && created.keys.includes(key) && !made.has(key));
  assert(missed !== undefined, "a row that was not made has a condition");
  throw conflict(missed.where, "item already exists and no etag was passed");
}

function conflict(where: string, why: string): StoreError {
  return new StoreError("etag-mismatch", where + why);
}
