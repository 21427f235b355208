// One row of the state table: a value's bytes and times, in and out of columns (dapr-state-stores.md 7b).
import { isUtf8 } from "node:buffer";
import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { Found } from "../store.ts";
import { Failed } from "./failures.ts";

/** JSON stays the text that it is; raw bytes become base64 text, without quotes. */
export function columnValue(bytes: Uint8Array<ArrayBuffer>, isJson: boolean): Uint8Array {
  return isJson ? bytes : Buffer.from(toBase64(bytes), "latin1");
}

/** What a selected row holds. Throws {@link Failed} when it is not in the layout. */
export function foundIn(row: Record<string, SQLOutputValue>): Found & { readonly bytes: Uint8Array<ArrayBuffer> } {
  const { value, isBinary, etag, expiresAtSec } = row;
  if (!(value instanceof Uint8Array)) throw corrupt("its value is NULL");
  return {
    bytes: isBinary === 0 ? value : fromBase64(value),
    etag: typeof etag === "string" && etag !== "" ? etag : null,
    expiresAtMs: typeof expiresAtSec === "number" ? expiresAtSec * 1000 : null,
  };
}

/** Gives SQL the checks of the layout that it has no words for. Both take a BLOB and give 1 or 0; NULL is neither. */
export function addChecks(database: DatabaseSync): void {
  const options = { deterministic: true, directOnly: true };
  database.function("is_utf8", options, (key) => Number(key instanceof Uint8Array && isUtf8(key)));
  database.function("is_base64", options, (value) => Number(value instanceof Uint8Array && decoded(value) !== null));
}

/** The second in which a value ends that must live `ttlSec` from now: the next whole one, never an earlier one. */
export function expirySec(nowMs: number, ttlSec: number): number {
  return Math.ceil(nowMs / 1000) + ttlSec;
}

function toBase64(bytes: Uint8Array<ArrayBuffer>): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function fromBase64(column: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = decoded(column);
  if (bytes === null) throw corrupt("is_binary is set and its value is no base64");
  return bytes;
}

/** Into memory of its own, which can move to the other thread; Buffer.from would take a part of Node's shared pool. */
function decoded(column: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | null {
  const text = Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString("latin1");
  const bytes = new Uint8Array(Buffer.byteLength(text, "base64"));
  Buffer.from(bytes.buffer).write(text, "base64");
  // Node's decoder skips what is no base64, so only the way back shows whether all of it was.
  return toBase64(bytes) === text ? bytes : null;
}

function corrupt(why: string): Failed {
  return new Failed({ code: "corrupt", message: `the row under the key is not in the layout of state.sqlite: ${why}` });
}
