// What the jobs of a walk do: a page of a range of keys, counting and deleting one. Runs in a database thread, where others
// wait, so each job looks at a limited number of rows and says where it stopped.
import type { SQLOutputValue } from "node:sqlite";
import { endOfBeginning } from "#kit/utf8-order.ts";
import {
  type Found,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
} from "../store.ts";
import { Failed } from "./failures.ts";
import type { Round } from "./jobs.ts";
import type { CountStep } from "./messages.ts";
import { foundIn } from "./rows.ts";
import { COUNT_ROWS_MAX, LOOKED_ROWS_MAX } from "./statements.ts";

/** Greater than every text, as SQLite compares. */
const AFTER_ALL_TEXTS = new Uint8Array(0);

/**
 * A page in the order of the keys' bytes. A position is the key of the last row that was looked at: its bytes in base64,
 * because something else may have written keys that are not UTF-8.
 */
export function listPage(round: Round, { range, after, limit, values }: ListRequest): ListPage {
  const { prepared } = round.connection;
  const statement = values ? prepared.listRows : prepared.listKeys;
  const [lower, upper, skipped] = boundsOf(range, after);
  const rows: ListedRow[] = [];
  let looked = 0;
  let bytes = 0;
  let position: Uint8Array = AFTER_ALL_TEXTS;
  for (const row of statement.iterate(lower, upper, skipped, remainderStart(range), round.nowSec)) {
    if (rows.length === limit || looked === LOOKED_ROWS_MAX || bytes >= LIST_BYTES_MAX)
      return { rows, next: toPosition(position) };
    looked++;
    const { key, told, checked } = row;
    if (!(key instanceof Uint8Array)) continue;
    position = key;
    bytes += Number(checked ?? 0);
    if (told !== 1) continue;
    const found = values ? findIn(row) : null;
    if (values && found === null) continue;
    rows.push({ key: asText(key), found });
    if (found === null) continue;
    bytes += found.bytes.byteLength;
    round.outgoing.push(found.bytes.buffer);
  }
  return { rows, next: null };
}

/** What is not in the layout is none of the rows of a range; without values the statement itself checks that. */
function findIn(row: Record<string, SQLOutputValue>): (Found & { readonly bytes: Uint8Array<ArrayBuffer> }) | null {
  try {
    return foundIn(row);
  } catch (error) {
    if (error instanceof Failed) return null;
    throw error;
  }
}

/**
 * Counts the rows of a part of a range, beginning after a position. Raw bytes are in the layout only as base64: where such
 * rows are, they are walked over as a page is, which ends by the bytes it had to check.
 */
export function countStep(round: Round, range: KeyRange, after: string | null): CountStep {
  const row = round.connection.prepared.countRange.get(...boundsOf(range, after), remainderStart(range), round.nowSec);
  const { looked, told, raw, last } = row ?? {};
  if (Number(raw) > 0) {
    const { rows, next } = listPage(round, { range, after, limit: LOOKED_ROWS_MAX, values: false });
    return { count: rows.length, next };
  }
  const isWhole = Number(looked) < COUNT_ROWS_MAX || !(last instanceof Uint8Array);
  return { count: Number(told), next: isWhole ? null : toPosition(last) };
}

/** Deletes at most `limit` rows of a range and gives their number. */
export function removeRange(round: Round, range: KeyRange, limit: number): number {
  const [lower, upper] = boundsOf(range, null);
  const { changes } = round.connection.prepared.removeRange.run(
    lower,
    upper,
    limit,
    remainderStart(range),
    round.nowSec,
  );
  return Number(changes);
}

/** The first key in bytes, the first one that is too far, and the one to be skipped or null. */
function boundsOf(range: KeyRange, after: string | null): [Uint8Array, string | Uint8Array, Uint8Array | null] {
  const upper = endOfBeginning(range.start) ?? AFTER_ALL_TEXTS;
  const start = Buffer.from(range.start);
  if (after === null) return [start, upper, null];
  const position = fromPosition(after);
  if (position.subarray(0, start.length).compare(start) !== 0)
    throw new Failed({ code: "refused", message: "the position of the page is none of this range" });
  return [position, upper, position];
}

/** Where in a key's bytes the part after the scope begins, counted from 1. */
function remainderStart({ scope }: KeyRange): number {
  return Buffer.byteLength(scope) + 1;
}

function toPosition(key: Uint8Array): string {
  return asBuffer(key).toString("base64url");
}

function fromPosition(position: string): Buffer {
  return Buffer.from(position, "base64url");
}

function asText(key: Uint8Array): string {
  return asBuffer(key).toString("utf8");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
