// Writes, removals and reads as the core hands them to a driver, with the usual members filled in.
import type { Call, Change, Read, Removal, Write } from "#sidecar/stores/store.ts";

export const READ: Read = { strong: false, metadata: {} };

/** A call whose client never leaves. Each has a signal of its own, so that no listeners gather on one. */
export function call(): Call {
  return { signal: new AbortController().signal };
}

/** JSON text as bytes: `json({a: 1})`. */
export function json(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

type WriteOptions = Partial<Omit<Write, "key" | "bytes">>;

/** A plain write of JSON bytes: no ETag, no first-write, no expiry, unless `options` say so. */
export function write(key: string, bytes: Uint8Array, options: WriteOptions = {}): Write {
  const usual = { isJson: true, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
  return { key, bytes, ...usual, ...options };
}

type RemovalOptions = Partial<Omit<Removal, "key">>;

/** A plain delete, unless `options` say otherwise. */
export function removal(key: string, options: RemovalOptions = {}): Removal {
  return { key, etag: null, firstWrite: false, strong: false, metadata: {}, ...options };
}

export function upsert(key: string, bytes: Uint8Array, options: WriteOptions = {}): Change {
  return { kind: "upsert", write: write(key, bytes, options) };
}

export function erase(key: string, options: RemovalOptions = {}): Change {
  return { kind: "delete", removal: removal(key, options) };
}
