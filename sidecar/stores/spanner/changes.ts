// What changes come to: conditions on the rows that are there, and for each key the change that stands at the end. Of
// several of one key the last one counts, for all are judged by the state before the first. Knows no call.
import type { Random } from "#kit/random.ts";
import { type Change, StoreError, type Write } from "../store.ts";
import { conflict } from "./failures.ts";
import { mustBeText, mutationsOf, type PutRow } from "./rows.ts";
import type { Looked, Work } from "./transaction.ts";

/** Spanner's limit for a value, in bytes. */
export const VALUE_BYTES_MAX: number = 10 * 1024 * 1024;
/** Spanner's limit for a primary key is 8 KiB, what it adds to tell where a text ends included. */
export const KEY_BYTES_MAX = 8000;
/** Spanner takes 80,000 values of columns in a commit, an index's included: four for each row that is put. */
export const CHANGES_MAX = 10_000;

interface Condition {
  readonly key: string;
  /** Null: no live row may be there. */
  readonly etag: string | null;
  /** "change 2 of 3: ", or nothing for a change that is alone. */
  readonly where: string;
}

export interface WorkOptions {
  readonly table: string;
  readonly random: Random;
  /** Errors name no place. */
  readonly alone: boolean;
}

/** Judges values and keys by themselves; throws a StoreError that names the change. */
export function workOf(changes: readonly Change[], { table, random, alone }: WorkOptions): Work<void> {
  const conditions: Condition[] = [];
  const last = new Map<string, Write | null>();
  for (const [index, change] of changes.entries()) {
    const where = alone ? "" : `change ${index + 1} of ${changes.length}: `;
    const { key, etag, firstWrite } = change.kind === "upsert" ? change.write : change.removal;
    mustFit(change, where);
    if (etag !== null || firstWrite) conditions.push({ key, etag, where });
    last.set(key, change.kind === "upsert" ? change.write : null);
  }
  const put = [...last.values()].filter((write) => write !== null).map((write) => ({ write, version: random.uuid() }));
  const removed = [...last].filter(([, write]) => write === null).map(([key]) => key);
  const [first] = put;
  return {
    keys: [...new Set(conditions.map(({ key }) => key))],
    needsTime: put.some(({ write }) => write.ttlSec !== null),
    decide(rows, serverMs) {
      for (const condition of conditions) check(condition, rows.get(condition.key), serverMs);
      const mutations = mutationsOf(
        table,
        put.map((each) => toRow(each, serverMs)),
        removed,
      );
      const mark = first === undefined ? null : { key: first.write.key, version: first.version };
      return { writes: { mutations, mark }, result: undefined };
    },
  };
}

function mustFit(change: Change, where: string): void {
  const { key } = change.kind === "upsert" ? change.write : change.removal;
  mustBeText(key, where);
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes > KEY_BYTES_MAX)
    throw new StoreError("refused", `${where}a key of ${keyBytes} bytes, want at most ${KEY_BYTES_MAX}`);
  const bytes = change.kind === "upsert" ? change.write.bytes.length : 0;
  if (bytes > VALUE_BYTES_MAX)
    throw new StoreError("refused", `${where}a value of ${bytes} bytes, want at most ${VALUE_BYTES_MAX}`);
}

function check({ etag, where }: Condition, row: Looked | undefined, serverMs: number): void {
  const live = row !== undefined && (row.expiresAtMs === null || row.expiresAtMs > serverMs) ? row : null;
  if (etag === null) {
    if (live !== null) throw conflict(where, "item already exists and no etag was passed");
  } else if (live === null) throw conflict(where, "there is no value under the key, or it has expired");
  else if (live.version !== etag) throw conflict(where, "the value has another etag than the one passed");
}

function toRow({ write, version }: { write: Write; version: string }, serverMs: number): PutRow {
  const expiresAtMs = write.ttlSec === null ? null : serverMs + write.ttlSec * 1000;
  return { key: write.key, bytes: write.bytes, version, expiresAtMs };
}

/** Deletes rows that a walk told, and gives how many of them were live. */
export function removalOf(table: string, keys: readonly string[]): Work<number> {
  return {
    keys,
    needsTime: false,
    decide(rows, serverMs) {
      const live = [...rows.values()].filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > serverMs);
      return { writes: { mutations: mutationsOf(table, [], [...rows.keys()]), mark: null }, result: live.length };
    },
  };
}
