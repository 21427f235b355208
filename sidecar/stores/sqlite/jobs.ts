// What each kind of job does inside the transaction of its batch. Runs in a database thread.
import { unreachable } from "#kit/assert.ts";
import type { Found } from "../store.ts";
import type { Connection } from "./connection.ts";
import { Failed } from "./failures.ts";
import type { Failure, Job, Results, RowChange } from "./messages.ts";
import { columnValue, expirySec, foundIn } from "./rows.ts";
import { countStep, listPage, removeRange } from "./walk.ts";

/** A bulk read stops after the value with which its values reach this many bytes; the rest is asked for again. */
export const READ_BYTES_MAX: number = 8 * 1024 * 1024;

/** What the jobs of one batch share. */
export interface Round {
  readonly connection: Connection;
  readonly nowMs: number;
  /** Whole seconds; what the statements compare expiry with. */
  readonly nowSec: number;
  /** Memory of the values read, which moves to the other thread with the answers. */
  readonly outgoing: ArrayBuffer[];
}

/** Does one job. Throws {@link Failed} for its own failures, and SQLite's errors as they are. */
export function runJob(round: Round, job: Job): Results[Job["kind"]] {
  switch (job.kind) {
    case "get":
      return find(round, job.key);
    case "getMany":
      return findMany(round, job.keys);
    case "list":
      return listPage(round, job.request);
    case "count":
      return countStep(round, job.range, job.after);
    case "removeRange":
      return removeRange(round, job.range, job.limit);
    case "apply":
      return apply(round, job.changes);
    case "cleanup":
      return cleanUp(round, job.claim ? job.intervalMs : null);
    case "ping":
      round.connection.prepared.ping.get();
      return null;
    default:
      return unreachable(job);
  }
}

function find(round: Round, key: string): Found | null {
  const row = round.connection.prepared.get.get(key, round.nowSec);
  if (row === undefined) return null;
  const found = foundIn(row);
  round.outgoing.push(found.bytes.buffer);
  return found;
}

/** The rows of the first keys, until their values are {@link READ_BYTES_MAX}. */
function findMany(round: Round, keys: readonly string[]): Results["getMany"] {
  const rows: (Found | null | Failure)[] = [];
  let bytes = 0;
  for (const key of keys) {
    const row = findOrFail(round, key);
    rows.push(row);
    if (row !== null && "bytes" in row) bytes += row.bytes.byteLength;
    if (bytes >= READ_BYTES_MAX) break;
  }
  return rows;
}

/** One row that is not in the layout must not fail its neighbours. */
function findOrFail(round: Round, key: string): Found | null | Failure {
  try {
    return find(round, key);
  } catch (error) {
    if (error instanceof Failed) return error.failure;
    throw error;
  }
}

/** All conditions are compared with the state before the first change. */
function apply(round: Round, changes: readonly RowChange[]): null {
  for (const [index, change] of changes.entries()) {
    if (change.ifEtag === null && !change.ifAbsent) continue;
    checkCondition(round, change, changes.length === 1 ? "" : `change ${index + 1} of ${changes.length}: `);
  }
  if (changes.length === 1) {
    for (const change of changes) applyOne(round, change);
  } else {
    applyAll(round, changes);
  }
  return null;
}

/** `place`: which change of a transaction it is, for the message. */
function checkCondition(round: Round, change: RowChange, place: string): void {
  const etag = round.connection.prepared.liveEtag.get(change.key, round.nowSec)?.etag;
  if (change.ifEtag === null) {
    if (etag !== undefined) throw mismatch(`${place}item already exists and no etag was passed`);
    return;
  }
  if (etag === undefined) throw mismatch(`${place}there is no value under the key, or it has expired`);
  if (etag !== change.ifEtag) throw mismatch(`${place}the value has another etag than the one passed`);
}

/** One statement undoes itself when it fails; several need a savepoint, or half of them would be committed. */
function applyAll(round: Round, changes: readonly RowChange[]): void {
  const { database } = round.connection;
  database.exec("SAVEPOINT changes");
  try {
    for (const change of changes) applyOne(round, change);
  } catch (error) {
    // A full disk, among others, makes SQLite roll back the whole transaction by itself.
    if (database.isTransaction) database.exec("ROLLBACK TO changes");
    throw error;
  } finally {
    if (database.isTransaction) database.exec("RELEASE changes");
  }
}

function applyOne(round: Round, change: RowChange): void {
  const { put, remove } = round.connection.prepared;
  if (change.value === null) {
    remove.run(change.key);
    return;
  }
  const value = columnValue(change.value, change.isJson);
  const expiresAtSec = change.ttlSec === null ? null : expirySec(round.nowMs, change.ttlSec);
  put.run(change.key, value, change.isJson ? 0 : 1, change.newEtag, expiresAtSec, round.nowSec);
}

/** `claimMs`: go on only when no sidecar has cleaned up for that long. Gives the rows removed. */
function cleanUp(round: Round, claimMs: number | null): number {
  const { claimCleanup, cleanup } = round.connection.prepared;
  if (claimMs !== null && claimCleanup.run(round.nowSec, claimMs).changes === 0) return 0;
  return Number(cleanup.run(round.nowSec).changes);
}

function mismatch(why: string): Failed {
  return new Failed({ code: "etag-mismatch", message: why });
}
