// Rows of the table as the contract has them: value, ETag, expiry. Knows no statement and no connection.
import type { types } from "cassandra-driver";
import type { Found } from "../store.ts";

/** What of a row a condition needs besides. */
export interface Row {
  readonly found: Found;
  /** What is in the column `etag`: the row's ETag, or that of an older value. */
  readonly etagColumn: string | null;
  /** How far the clock that wrote the value is ahead of the node's, in milliseconds: so long no later write replaces it. */
  readonly aheadMs: number;
}

/** Null for a row without a value: its TTL is over, and a mark of it is left. */
export function rowOf(row: types.Row, etags: boolean): Row | null {
  const value: unknown = row.value;
  if (!(value instanceof Uint8Array)) return null;
  const column: unknown = etags ? row.etag : null;
  const etagColumn = typeof column === "string" ? column : null;
  return {
    found: { bytes: value, etag: etags ? etagOf(row, etagColumn) : null, expiresAtMs: expiryOf(row) },
    etagColumn,
    aheadMs: aheadMsOf(row),
  };
}

function aheadMsOf(row: types.Row): number {
  const now: unknown = row.now;
  const writtenMs = Math.floor(Number(String(row.valuewritten)) / 1000);
  return now instanceof Date && writtenMs > now.getTime() ? writtenMs - now.getTime() : 0;
}

/** What no ETag of ours, a UUID, begins with. */
const WRITTEN = "w";

/**
 * Dapr writes values without an ETag, or beneath the ETag of the value before: then the moment of writing, which Cassandra
 * keeps in microseconds, tells one value from another.
 */
function etagOf(row: types.Row, column: string | null): string {
  return column !== null && isOfItsValue(row) ? column : `${WRITTEN}${String(row.valuewritten)}`;
}

/** Whether the ETag column was written with the value: a plain write, as Dapr's, leaves there what was before. */
export function isOfItsValue(row: types.Row): boolean {
  return String(row.etagwritten) === String(row.valuewritten);
}

/** Whether an ETag stands for the moment of writing, so that its row has to be read to compare it. */
export function isWrittenEtag(etag: string): boolean {
  return etag.startsWith(WRITTEN);
}

/** By the server's own clock, which decides: it drops values at whole seconds, and tells how many are left of one. */
function expiryOf(row: types.Row): number | null {
  const [left, now]: readonly unknown[] = [row.ttl, row.now];
  if (typeof left !== "number" || !(now instanceof Date)) return null;
  return (Math.floor(now.getTime() / 1000) + left) * 1000;
}
