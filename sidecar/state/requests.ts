// What a surface (HTTP, gRPC) hands to the state service, and its translation into what a driver gets:
// option words, ETags, TTL and features are judged here, once for all stores.
import type { Metadata, Removal, Write } from "../stores/store.ts";
import { invalid, type StateErrorCode } from "./errors.ts";
import { qualify } from "./keys.ts";
import type { RetryPolicy } from "./retry.ts";
import type { StoreEntry } from "./table.ts";
import { readTtl, TTL_NAME } from "./ttl.ts";

/** The words as the client sent them; "" when it said nothing. */
export interface OptionWords {
  readonly concurrency: string;
  readonly consistency: string;
}

export interface SaveRequest {
  readonly key: string;
  readonly bytes: Uint8Array;
  /** The bytes are one JSON text. */
  readonly isJson: boolean;
  /**
   * The bytes are one JSON text without space before it, and an encrypted store may keep a JSON string as its
   * characters, as Dapr does over HTTP (dapr-state-api.md 6). Left out: every value is kept as its bytes.
   */
  readonly asText?: boolean;
  /** "" counts as none, as with Dapr (dapr-state-stores.md 0.1). */
  readonly etag: string;
  readonly options: OptionWords;
  readonly metadata: Metadata;
  readonly retry: RetryPolicy | null;
}

export interface DeleteRequest {
  readonly key: string;
  readonly etag: string;
  readonly options: OptionWords;
  readonly metadata: Metadata;
  readonly retry: RetryPolicy | null;
}

/** A step of a transaction. A delete looks at no value and no TTL. */
export interface TransactionOperation {
  /** The word as the client sent it; "upsert" and "delete" are operations. */
  readonly operation: string;
  readonly request: SaveRequest;
}

/** A checked write for the store's driver. Throws a StateError of `code` for what cannot be asked of this store. */
export function toWrite(entry: StoreEntry, request: SaveRequest, code: StateErrorCode): Write {
  const key = toKey(entry, request.key, code);
  const { firstWrite, strong } = readOptions(entry, request.options, code);
  const { valueBytesMax } = entry.store.limits;
  const { cipher } = entry.core;
  const bytes = cipher === null ? request.bytes : cipher.seal(request.bytes, request.asText ?? false);
  if (valueBytesMax !== null && bytes.length > valueBytesMax) {
    const text = `the value has ${bytes.length} bytes, state store ${entry.name} (${entry.type}) keeps at most ${valueBytesMax}`;
    throw invalid(code, text, entry.name);
  }
  return {
    key,
    bytes,
    isJson: request.isJson && cipher === null,
    etag: toEtag(entry, request.etag, code),
    firstWrite,
    strong,
    ttlSec: toTtlSec(entry, request.metadata, code),
    metadata: request.metadata,
  };
}

/** A checked delete for the store's driver. A TTL in its metadata means nothing and is not judged. */
export function toRemoval(entry: StoreEntry, request: DeleteRequest, code: StateErrorCode): Removal {
  const { firstWrite, strong } = readOptions(entry, request.options, code);
  return {
    key: toKey(entry, request.key, code),
    etag: toEtag(entry, request.etag, code),
    firstWrite,
    strong,
    metadata: request.metadata,
  };
}

/** The store's key. Throws illegal-key for one with the separator, `code` for one that is too long for the store. */
export function toKey(entry: StoreEntry, key: string, code: StateErrorCode): string {
  return checkKeyBytes(entry, qualify(entry.name, entry.keyPrefix, key), code);
}

/** Gives the store's key back. Throws `code` for one that is too long for the store. */
export function checkKeyBytes(entry: StoreEntry, qualified: string, code: StateErrorCode): string {
  const { keyBytesMax } = entry.store.limits;
  if (keyBytesMax !== null && Buffer.byteLength(qualified) > keyBytesMax) {
    const text = `the key has more than the ${keyBytesMax} bytes that state store ${entry.name} (${entry.type}) takes, its prefix included`;
    throw invalid(code, text, entry.name);
  }
  return qualified;
}

/** Throws `code` for a value that is larger than the store takes. */
export function checkValueBytes(entry: StoreEntry, bytes: Uint8Array, code: StateErrorCode): void {
  const { valueBytesMax } = entry.store.limits;
  if (valueBytesMax === null || bytes.length <= valueBytesMax) return;
  const text = `the value has ${bytes.length} bytes, state store ${entry.name} (${entry.type}) keeps at most ${valueBytesMax}`;
  throw invalid(code, text, entry.name);
}

/** Whether the client asked for a strong read. Throws `code` for a word that is none of the API's. */
export function readConsistency(entry: StoreEntry, consistency: string, code: StateErrorCode): boolean {
  if (consistency === "" || consistency === "eventual") return false;
  if (consistency === "strong") return true;
  const text = `unrecognized consistency model '${consistency}': want "strong" or "eventual"`;
  throw invalid(code, text, entry.name);
}

function readOptions(
  entry: StoreEntry,
  words: OptionWords,
  code: StateErrorCode,
): { firstWrite: boolean; strong: boolean } {
  const strong = readConsistency(entry, words.consistency, code);
  const { concurrency } = words;
  if (concurrency === "" || concurrency === "last-write") return { firstWrite: false, strong };
  if (concurrency !== "first-write") {
    const text = `unrecognized concurrency model '${concurrency}': want "first-write" or "last-write"`;
    throw invalid(code, text, entry.name);
  }
  if (!entry.store.features.etag) throw invalid(code, lacks(entry, "first-write"), entry.name);
  return { firstWrite: true, strong };
}

/** Null for none. Throws `code` when the store has no ETags. */
export function toEtag(entry: StoreEntry, etag: string, code: StateErrorCode): string | null {
  if (etag === "") return null;
  if (!entry.store.features.etag) throw invalid(code, lacks(entry, "ETags"), entry.name);
  return etag;
}

/** Seconds, or null for no expiry. Throws `code` for what is no TTL, or none that this store keeps. */
export function toTtlSec(entry: StoreEntry, metadata: Metadata, code: StateErrorCode): number | null {
  const reading = readTtl(metadata);
  if ("problem" in reading) throw invalid(code, reading.problem, entry.name);
  const { ttl } = reading;
  if (ttl === undefined) return entry.store.defaultTtlSec;
  if (ttl === null) return null;
  if (!entry.store.features.ttl)
    throw invalid(code, `${lacks(entry, "TTL")}; metadata ${TTL_NAME} must be absent, 0 or -1`, entry.name);
  if (ttl < entry.store.limits.ttlSecMin) {
    const text = `metadata ${TTL_NAME}: got ${ttl}, state store ${entry.name} (${entry.type}) keeps no shorter time than ${entry.store.limits.ttlSecMin} s`;
    throw invalid(code, text, entry.name);
  }
  return ttl;
}

function lacks(entry: StoreEntry, what: string): string {
  return `state store ${entry.name} (${entry.type}) does not support ${what}`;
}
