// Dapr's layout in MongoDB: what a key, a value and a document are (dapr-state-stores.md 12b). Knows one document; filters
// and calls are in mongodb-store.ts.
import { isUtf8 } from "node:buffer";
import { BSON } from "mongodb";
import { type Features, type Found, type Limits, StoreError, type Traits, type Write } from "../store.ts";
import { type Element, eachElement, stringBytes, TYPES, toJson } from "./bson.ts";
import { toBson } from "./json-to-bson.ts";

/** As it stands in the collection. */
export interface Row {
  readonly _id: string;
  readonly value: unknown;
  readonly _etag: string | null;
  readonly _ttl: Date | null;
}

/** Dapr always names transactions, also where each one fails. */
export function capabilitiesOf({ transactions }: Features): readonly string[] {
  return ["ETAG", ...(transactions ? ["TRANSACTIONAL"] : []), "QUERY_API", "TTL", "KEYS_LIKE"];
}

const MIB = 1024 * 1024;
/** A document has 16 MiB at most; the rest is for its key, its ETag, and the command around it. */
export const VALUE_BYTES_MAX: number = 16 * MIB - 64 * 1024;
/** A value of BSON has at most so many bytes for each of its JSON text. */
const EXPANSION_MAX = 16;

export const limits: Limits = {
  valueBytesMax: VALUE_BYTES_MAX,
  keyBytesMax: null,
  operationsMax: null,
  ttlSecMin: 1,
};

export function featuresOf(transactions: boolean): Features {
  return { etag: true, transactions, ttl: true, list: true };
}

export const traits: Traits = {
  values: "json-equal",
  foreignEtag: "mismatch",
  etagMayBeQuoted: false,
  firstWriteDelete: "ignored",
  ttlStepMs: 1000,
  durable: true,
  listOrder: "key",
  queryStrings: "typed",
  strongRead:
    "the primary is asked, whatever the read preference is; it shows what readConcern says, for one that has lost its majority a linearizable one is needed",
  strongWrite: "most servers of the replica set have it in their journals; a server alone has it in its own",
};

/** Throws a StoreError of code `refused` for what no string of BSON holds; for the beginning of a key too. */
export function mustBeText(key: string): void {
  if (!key.isWellFormed()) throw noText();
}

export function noText(): StoreError {
  return new StoreError("refused", "the key holds half a surrogate pair, which a string of mongodb cannot hold");
}

/** A value as BSON: one that the library encodes, or the bytes of a string that it cannot, for they are no UTF-8. */
export type Stored = { readonly value: unknown } | { readonly raw: Buffer };

/** JSON as Dapr's decoder leaves it, strings with their quotes; raw bytes, and what BSON would change, as a string. */
export function toStored({ bytes, isJson, metadata }: Write): Stored {
  if (bytes.length > VALUE_BYTES_MAX)
    throw new StoreError("refused", `the value has more than ${VALUE_BYTES_MAX} bytes, which is what a document holds`);
  // A copy where the bytes are kept: the caller may use its buffer again before they leave.
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isJson || metadata.contentType === JSON_TYPE) {
    const native = toNative(buffer);
    if (native !== null) return native;
  }
  return isUtf8(buffer) ? { value: buffer.toString() } : { raw: Buffer.from(buffer) };
}

/** In a transaction over gRPC this alone says that bytes are JSON (dapr-state-stores.md 12b). */
const JSON_TYPE = "application/json";
const QUOTE = 0x22;

/** Null for a string, and for what has to stay text. */
function toNative(text: Buffer): { readonly value: unknown } | null {
  if (text[0] === QUOTE) return null;
  const native = toBson(text);
  if (native === null || typeof native.value === "string") return null;
  const mayBeLarge = text.length > VALUE_BYTES_MAX / EXPANSION_MAX;
  return mayBeLarge && BSON.calculateObjectSize(native) > VALUE_BYTES_MAX ? null : native;
}

/** A document that was read: its key, when it goes, and what is in it or why that cannot be told. */
export interface ReadRow {
  readonly key: string;
  readonly expiresAtMs: number | null;
  readonly found: Found | StoreError;
}

/** Reads a document of a string key. Members that were not asked for are as if they were not there. */
export function readRow(document: Uint8Array): ReadRow {
  const bytes = Buffer.from(document.buffer, document.byteOffset, document.byteLength);
  const members = new Map<string, Element>();
  eachElement(bytes, 0, (element) => void members.set(element.name, element));
  const id = members.get("_id");
  const key = id?.type === TYPES.string ? stringBytes(bytes, id).toString() : "";
  const ttl = members.get("_ttl");
  const expiresAtMs = ttl?.type === TYPES.date ? Number(bytes.readBigInt64LE(ttl.from)) : null;
  return { key, expiresAtMs, found: foundIn(bytes, members, expiresAtMs) };
}

function foundIn(bytes: Buffer, members: ReadonlyMap<string, Element>, expiresAtMs: number | null): Found | StoreError {
  const value = members.get("value");
  const etag = members.get("_etag");
  const ttl = members.get("_ttl");
  if (value === undefined) return corrupt("it has no member value");
  if (ttl !== undefined && ttl.type !== TYPES.date && ttl.type !== TYPES.null) return corrupt("its _ttl is no date");
  const text = etag?.type === TYPES.string ? stringBytes(bytes, etag).toString() : "";
  return { bytes: bytesOf(bytes, value), etag: text === "" ? null : text, expiresAtMs };
}

/** A copy of a string's bytes: the answer that it stands in may be large. */
function bytesOf(bytes: Buffer, value: Element): Uint8Array {
  return value.type === TYPES.string ? Buffer.from(stringBytes(bytes, value)) : Buffer.from(toJson(bytes, value));
}

function corrupt(why: string): StoreError {
  return new StoreError("corrupt", `the document under the key is not in the layout of state.mongodb: ${why}`);
}
