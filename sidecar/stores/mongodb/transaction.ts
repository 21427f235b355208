// Several changes as one transaction of the server's: all conditions are compared with the state before the first change,
// then the last change of each key is made, then it is committed, and the commit's own answer is looked at.
import { type AnyBulkWriteOperation, type ClientSession, type Collection, MongoServerError } from "mongodb";
import { assert } from "#kit/assert.ts";
import { type Clock, sleep } from "#kit/clock.ts";
import { type Change, StoreError } from "../store.ts";
import type { Attempt } from "./calls.ts";
import { DUPLICATE_KEY, hasLabel, leftError, MongodbError } from "./failures.ts";
import { mustBeText, type Row } from "./layout.ts";
import type { ServerClock } from "./server-clock.ts";
import { type Fields, update } from "./writes.ts";

/**
 * What changes come to: of several of one key the last one counts. Keys are sorted, so that transactions that share some
 * meet at the first of them.
 */
export interface Batch {
  readonly conditions: readonly Condition[];
  /** Null: the document goes. */
  readonly last: ReadonlyMap<string, Fields | null>;
}

interface Condition {
  readonly key: string;
  /** Null: no live document may be there. */
  readonly etag: string | null;
  /** "change 2 of 3: " */
  readonly where: string;
}

/** Judges keys and values by themselves. Throws a StoreError that names the change. */
export function toBatch(changes: readonly Change[], toFields: (change: Change) => Fields | null): Batch {
  const conditions: Condition[] = [];
  const last = new Map<string, Fields | null>();
  for (const [index, change] of changes.entries()) {
    const where = `change ${index + 1} of ${changes.length}: `;
    const { key, etag } = change.kind === "upsert" ? change.write : change.removal;
    const fields = naming(where, () => {
      mustBeText(key);
      return toFields(change);
    });
    if (etag !== null || (change.kind === "upsert" && change.write.firstWrite)) conditions.push({ key, etag, where });
    last.set(key, fields);
  }
  return { conditions, last: new Map([...last].sort(([a], [b]) => (a < b ? -1 : 1))) };
}

function naming<T>(where: string, judge: () => T): T {
  try {
    return judge();
  } catch (error) {
    if (error instanceof StoreError) throw new StoreError(error.code, where + error.message);
    throw error;
  }
}

export interface TransactionParts {
  readonly collection: Collection<Row>;
  readonly time: ServerClock;
  readonly clock: Clock;
}

/** Applies all or nothing. Rejects with a StoreError; one with `again` says that the whole may be tried once more. */
export async function apply(parts: TransactionParts, batch: Batch, attempt: Attempt): Promise<void> {
  const { session } = attempt;
  assert(session !== undefined, "there are transactions only where there are sessions");
  session.startTransaction({
    readConcern: { level: "snapshot" },
    writeConcern: { w: "majority" },
    readPreference: "primary",
    maxCommitTimeMS: attempt.leftMs(),
  });
  try {
    await check(parts, batch.conditions, session);
    await writeAll(parts.collection, batch.last, session);
    // The caller was told that it may happen, and may have written something else by now.
    if (attempt.signal.aborted) throw leftError();
  } catch (error) {
    const failure = failureInside(error, attempt);
    // Where the server answers, its locks go before another attempt begins; else it ends the transaction by itself.
    if (!(failure instanceof MongodbError) || failure.number !== null) await session.abortTransaction();
    throw failure;
  }
  await commit(parts, session, attempt);
}

/** Nothing is written before the commit, whatever happens. */
function failureInside(error: unknown, attempt: Attempt): Error {
  const failure = attempt.failure(error, false);
  if (!(failure instanceof MongodbError)) return failure;
  const met = failure.number === DUPLICATE_KEY && failure.again !== null;
  if (!met && !hasLabel(error, "TransientTransactionError")) return failure;
  const message = met ? "another writer made a document of the transaction; try again" : failure.message;
  const number = failure.number ?? undefined;
  return new MongodbError("unavailable", message, { again: "conflict", ...(number === undefined ? {} : { number }) });
}

async function check(
  { collection, time }: TransactionParts,
  conditions: readonly Condition[],
  session: ClientSession,
): Promise<void> {
  if (conditions.length === 0) return;
  const keys = [...new Set(conditions.map(({ key }) => key))];
  const projection = { _etag: 1, _ttl: 1 };
  const rows = await collection.find({ _id: { $in: keys } }, { session, projection }).toArray();
  const now = time.earliestMs();
  const etags = new Map(
    rows.filter(({ _ttl }) => !(_ttl instanceof Date) || _ttl.getTime() > now).map(({ _id, _etag }) => [_id, _etag]),
  );
  for (const { key, etag, where } of conditions) {
    // A document of something else's can be there without an ETag.
    const isThere = etags.has(key);
    if (etag === null) {
      if (isThere) throw conflict(where, "item already exists and no etag was passed");
    } else if (!isThere) throw conflict(where, "there is no value under the key, or it has expired");
    else if (etags.get(key) !== etag) throw conflict(where, "the value has another etag than the one passed");
  }
}

function conflict(where: string, why: string): StoreError {
  return new StoreError("etag-mismatch", where + why);
}

async function writeAll(
  collection: Collection<Row>,
  last: ReadonlyMap<string, Fields | null>,
  session: ClientSession,
): Promise<void> {
  const together: AnyBulkWriteOperation<Row>[] = [];
  for (const [key, fields] of last) {
    const filter = { _id: key };
    if (fields === null) together.push({ deleteOne: { filter } });
    else if ("raw" in fields.stored)
      await update(collection, { filter, fields, upsert: true, session, writeConcern: null });
    else {
      const { stored, ...rest } = fields;
      together.push({ updateOne: { filter, update: { $set: { value: stored.value, ...rest } }, upsert: true } });
    }
  }
  // Each key stands once, so the server may take them in any order, and in as few commands as it likes.
  if (together.length > 0) await collection.bulkWrite(together, { session, ordered: false });
}

/** Commits that one transaction asks for: the server knows a repeated one, and answers it as it did the first. */
const COMMITS_MAX = 20;
const COMMIT_PAUSE_MS = 50;
const TIME_IS_UP = 50;

async function commit({ clock }: TransactionParts, session: ClientSession, attempt: Attempt): Promise<void> {
  for (let made = 1; ; made++) {
    try {
      await session.commitTransaction();
      return;
    } catch (error) {
      if (hasLabel(error, "TransientTransactionError")) throw failureInside(error, attempt);
      // What is no answer of the server's leaves it open too: the client sends a commit twice by itself.
      const isOpen = hasLabel(error, "UnknownTransactionCommitResult") || !(error instanceof MongoServerError);
      if (!isOpen) throw attempt.failure(error, true);
      const isOver = error instanceof MongoServerError && error.code === TIME_IS_UP;
      const goesOn = !isOver && made < COMMITS_MAX && attempt.leftMs() > COMMIT_PAUSE_MS;
      if (!goesOn || !(await sleep(clock, COMMIT_PAUSE_MS, attempt.signal)))
        throw new MongodbError(
          "unknown-outcome",
          `mongodb at ${attempt.server} did not answer the commit; the write may have happened`,
        );
    }
  }
}
