// A row of Dapr's layout in JSON: the property Value, a string, beside the row's name (dapr-state-stores.md 17). Bytes that
// are no text are Edm.Binary, where Dapr writes other characters in their place. Knows no request.
import { isUtf8 } from "node:buffer";
import { type Found, StoreError } from "../store.ts";
import type { RowName } from "./row-names.ts";

/**
 * What a property of Azure Storage has room for whatever the value is: 64 KiB, in which a string has two bytes for each
 * character. A text of fewer characters than bytes could be longer.
 */
export const VALUE_BYTES_MAX: number = 32 * 1024;
const NUL = 0;

/** The body of a write. */
export function encodeEntity({ partition, row }: RowName, bytes: Uint8Array): Buffer {
  const names = { PartitionKey: partition, RowKey: row };
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entity =
    isUtf8(value) && !value.includes(NUL)
      ? { ...names, Value: value.toString() }
      : { ...names, "Value@odata.type": "Edm.Binary", Value: value.toString("base64") };
  return Buffer.from(JSON.stringify(entity));
}

/** A row as the service answers it. */
export type Entity = Readonly<Record<string, unknown>>;

export function nameIn(entity: Entity): RowName {
  const { PartitionKey: partition, RowKey: row } = entity;
  if (typeof partition !== "string" || typeof row !== "string") throw corrupt();
  return { partition, row };
}

/** A string without a type beside it is one: that of any other property is told. */
const TYPES: ReadonlySet<unknown> = new Set([undefined, "Edm.String", "Edm.Binary"]);

/** Whether a row is in this layout. */
export function isInLayout({ Value: value, "Value@odata.type": type }: Entity): boolean {
  return typeof value === "string" && TYPES.has(type);
}

/** Throws a StoreError of code `corrupt` for a row that is not in this layout. */
export function foundIn(entity: Entity): Found {
  const { Value: value, "odata.etag": etag, "Value@odata.type": type } = entity;
  if (!isInLayout(entity) || typeof value !== "string" || typeof etag !== "string") throw corrupt();
  return { bytes: Buffer.from(value, type === "Edm.Binary" ? "base64" : "utf8"), etag, expiresAtMs: null };
}

function corrupt(): StoreError {
  return new StoreError(
    "corrupt",
    "the row under the key has no string in its property Value; something else wrote it",
  );
}
