// Entities as Dapr 1.18 lays them out (dapr-state-stores.md 16b), from Datastore's messages and into them: the kind of the
// Component, the key as a name without a parent, one property "Value". Knows no call.
import { isUtf8 } from "node:buffer";
import type { Entity, EntityResult, Key, Value } from "#proto/gen/clients/google/datastore/v1/datastore.ts";
import { type Change, type Found, StoreError } from "../store.ts";
import { KIND_BYTES_MAX } from "./fields.ts";

const PROPERTY = "Value";

/** Datastore's limit for a name, in bytes of UTF-8. */
export const KEY_BYTES_MAX = 1500;
/** Datastore's limit for a string that it indexes, in bytes. */
const INDEXED_BYTES_MAX = 1500;
/** Datastore's limit for an entity, in bytes: 1 MiB less 4. */
const ENTITY_BYTES_MAX = 1_048_572;
/** What Datastore counts beside key, kind and value: 48 for the entity, 6 for the property's name, an end for each text. */
const ENTITY_BYTES_OWN = 48 + 6 + 3;
/** For every key and kind the same: what is left beside the longest ones. */
export const VALUE_BYTES_MAX: number = ENTITY_BYTES_MAX - ENTITY_BYTES_OWN - KEY_BYTES_MAX - KIND_BYTES_MAX;

export interface Layout {
  readonly kind: string;
  /** No value is indexed. */
  readonly noIndex: boolean;
}

export function keyOf({ kind }: Layout, name: string): Key {
  return { path: [{ kind, name }] };
}

/** The name of a key of this layout; null for another key, as one with a parent or a number. */
export function nameOf({ kind }: Layout, key: Key | undefined): string | null {
  const [element, ...more] = key?.path ?? [];
  return element?.kind === kind && more.length === 0 ? (element.name ?? null) : null;
}

/**
 * Dapr writes a string, and cannot write what is no UTF-8: that becomes a blob, which its driver says it cannot read. Nor can it
 * write without an index what is too long for one, unless noIndex is set; reading, it makes no difference.
 */
export function entityOf(layout: Layout, name: string, bytes: Uint8Array): Entity {
  const valueType: Value["valueType"] = isUtf8(bytes)
    ? { $case: "stringValue", stringValue: bytes }
    : { $case: "blobValue", blobValue: bytes };
  const excludeFromIndexes = layout.noIndex || bytes.length > INDEXED_BYTES_MAX;
  return { key: keyOf(layout, name), properties: { [PROPERTY]: { valueType, excludeFromIndexes } } };
}

/** Throws `corrupt` for an entity that has no such property. */
export function foundOf(result: EntityResult): Found {
  const bytes = bytesOf(result.entity?.properties[PROPERTY]);
  if (bytes === null)
    throw new StoreError("corrupt", `an entity has no text in its property ${PROPERTY}; something else wrote it`);
  return { bytes, etag: etagOf(result), expiresAtMs: null };
}

function bytesOf(value: Value | undefined): Uint8Array | null {
  switch (value?.valueType?.$case) {
    case "stringValue":
      return value.valueType.stringValue;
    case "blobValue":
      return value.valueType.blobValue;
    default:
      return null;
  }
}

const MICROS_IN_SEC = 1_000_000;

/** When the entity was changed last, in microseconds since 1970 UTC. Below 2^53 for some more centuries. */
export function etagOf({ updateTime }: EntityResult): string | null {
  if (updateTime === undefined) return null;
  return String(updateTime.seconds * MICROS_IN_SEC + Math.floor(updateTime.nanos / 1000));
}

/** Throws `refused` for a key or value that Datastore does not take. `where` is put before. */
export function mustFit(change: Change, where: string): void {
  const { key } = change.kind === "upsert" ? change.write : change.removal;
  mustBeName(key, where);
  const bytes = change.kind === "upsert" ? change.write.bytes.length : 0;
  if (bytes > VALUE_BYTES_MAX)
    throw new StoreError("refused", `${where}a value of ${bytes} bytes, want at most ${VALUE_BYTES_MAX}`);
}

function mustBeName(key: string, where: string): void {
  // In UTF-8 it would be another one's.
  if (!key.isWellFormed())
    throw new StoreError("refused", `${where}the key holds half a surrogate pair, which is no text`);
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes > KEY_BYTES_MAX)
    throw new StoreError("refused", `${where}a key of ${keyBytes} bytes, want at most ${KEY_BYTES_MAX}`);
  if (!isName(key))
    throw new StoreError("refused", `${where}a key in double underscores, which are Datastore's own; want another key`);
}

/** Whether an entity can have this name at all. Asking for any other is an error of Datastore's. */
export function isName(key: string): boolean {
  const isReserved = key.length >= 4 && key.startsWith("__") && key.endsWith("__");
  return key !== "" && !isReserved && key.isWellFormed() && Buffer.byteLength(key) <= KEY_BYTES_MAX;
}
