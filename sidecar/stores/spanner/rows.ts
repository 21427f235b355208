// The table's rows, from Spanner's messages and into them. Values of our columns come as text or null: BYTES in base64, a
// TIMESTAMP as RFC 3339. Knows no call.

import type { KeySet, Mutation, PartialResultSet } from "#proto/gen/clients/google/spanner/v1/spanner.ts";
import type { ListValue, Timestamp, Value } from "#proto/gen/clients/google/well_known.ts";
import { type Found, StoreError } from "../store.ts";

export type Column = "key" | "value" | "version" | "expiry";

/** One text or null per column that was asked for. */
export type Row = readonly (string | null)[];

/** Makes rows of the messages of one read: a large value comes in pieces, over several of them. */
export class RowReader {
  readonly #width: number;
  readonly #take: (row: Row) => boolean;
  #row: (string | null)[] = [];
  #pieces: string[] = [];

  /** `take` gets each row; false from it: enough. */
  constructor(columns: readonly Column[], take: (row: Row) => boolean) {
    this.#width = columns.length;
    this.#take = take;
  }

  /** Whether more is wanted. */
  push({ values, chunkedValue }: PartialResultSet): boolean {
    for (const [index, value] of values.entries()) {
      const text = textOf(value);
      if (chunkedValue && index === values.length - 1) this.#pieces.push(text ?? "");
      else if (!this.#add(this.#whole(text))) return false;
    }
    return true;
  }

  #whole(last: string | null): string | null {
    if (this.#pieces.length === 0) return last;
    const text = this.#pieces.join("") + (last ?? "");
    this.#pieces = [];
    return text;
  }

  #add(text: string | null): boolean {
    this.#row.push(text);
    if (this.#row.length < this.#width) return true;
    const row = this.#row;
    this.#row = [];
    return this.#take(row);
  }
}

function textOf({ kind }: Value): string | null {
  if (kind?.$case === "nullValue") return null;
  if (kind?.$case === "stringValue") return kind.stringValue;
  throw new StoreError("corrupt", "the table has a column of another type; see Layout in docs/stores/gcp.spanner.md");
}

/** Milliseconds since 1970 UTC, rounded down. */
export function toMs({ seconds, nanos }: Timestamp): number {
  return seconds * 1000 + Math.floor(nanos / 1_000_000);
}

/** A row's moment of expiry, in milliseconds since 1970 UTC. */
export function expiryMs(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}

/** The columns that {@link toFound} wants behind the key's. */
export const FOUND_COLUMNS: readonly Column[] = ["key", "value", "version", "expiry"];

export interface StoredRow {
  readonly key: string;
  readonly found: Found;
}

/** A row of {@link FOUND_COLUMNS}, expired or not. Throws `corrupt` for one that this driver has not written. */
export function toStored([key, value, version = null, expiry = null]: Row): StoredRow {
  if (key == null || value == null)
    throw new StoreError("corrupt", "a row has no value; something else wrote it into the table");
  const found = { bytes: Buffer.from(value, "base64"), etag: version, expiresAtMs: expiryMs(expiry) };
  return { key, found };
}

const text = (stringValue: string): Value => ({ kind: { $case: "stringValue", stringValue } });
const NULL: Value = { kind: { $case: "nullValue", nullValue: 0 } };

/** In UTF-8 such a key would be another one's. */
export function noText(where = ""): StoreError {
  return new StoreError("refused", `${where}the key holds half a surrogate pair, which is no text`);
}

/** Throws {@link noText}. */
export function mustBeText(key: string, where = ""): void {
  if (!key.isWellFormed()) throw noText(where);
}

/** A primary key, or one end of a range of them. */
export function keyList(key: string): ListValue {
  return { values: [text(key)] };
}

export function keySet(keys: readonly string[]): KeySet {
  return { keys: keys.map(keyList), ranges: [] };
}

export interface PutRow {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly version: string;
  readonly expiresAtMs: number | null;
}

/** What makes the rows so, whatever was there. */
export function mutationsOf(table: string, put: readonly PutRow[], removed: readonly string[]): Mutation[] {
  const mutations: Mutation[] = [];
  if (put.length > 0) {
    const insertOrUpdate = { table, columns: [...FOUND_COLUMNS], values: put.map(toList) };
    mutations.push({ operation: { $case: "insertOrUpdate", insertOrUpdate } });
  }
  if (removed.length > 0)
    mutations.push({ operation: { $case: "delete", delete: { table, keySet: keySet(removed) } } });
  return mutations;
}

function toList({ key, bytes, version, expiresAtMs }: PutRow): ListValue {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  const expiry = expiresAtMs === null ? NULL : text(new Date(expiresAtMs).toISOString());
  return { values: [text(key), text(value), text(version), expiry] };
}
