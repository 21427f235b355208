// Dapr's layout in Cosmos DB: what a key, a value and a document are (dapr-state-stores.md 9b). Knows no connection.
import { isUtf8 } from "node:buffer";
import { isControl, markedCode, spell, unspell } from "../azure/key-spelling.ts";
import { type Found, type Metadata, StoreError, type Write } from "../store.ts";
import { keep } from "./json-text.ts";

/** Of an id, by the service's own limits. */
export const KEY_BYTES_MAX = 1023;
/** Of a document, and of all that a transaction sends. */
export const DOCUMENT_BYTES_MAX: number = 2 * 1024 * 1024;
/** For the members that the server adds. */
const SERVER_BYTES = 4 * 1024;
/** For all members beside the value. */
const REST_BYTES = 16 * 1024;
/** A value of JSON; raw bytes may have three quarters of it, for they stand there as base64. */
export const VALUE_BYTES_MAX: number = DOCUMENT_BYTES_MAX - REST_BYTES;

/** How the container deals with time: what its `defaultTtl` says. */
export type Expiry =
  /** Nothing expires, whatever a document says. */
  | { readonly kind: "off" }
  /** What says so expires. */
  | { readonly kind: "asked" }
  /** Everything expires after so many seconds, unless it says otherwise. */
  | { readonly kind: "always"; readonly defaultSec: number };

export interface Layout {
  readonly expiry: Expiry;
  /** Raw bytes that are a JSON object stand there as that object, where nothing of their spelling is lost. */
  readonly rawJson: boolean;
  readonly lossyValues: boolean;
}

/** The name of the metadata entry that says in which partition a document lies. */
const PARTITION_KEY = "partitionKey";

/**
 * The partition of a key: what the request says, an empty text too, or else the key itself (9c). Throws a StoreError of code
 * `refused` for a name that the service would take for another one.
 */
export function partitionOf(key: string, metadata: Metadata): string {
  const given = metadata[PARTITION_KEY];
  if (given?.isWellFormed() === false)
    throw new StoreError(
      "refused",
      "the metadata partitionKey holds half a surrogate pair, which no partition can have",
    );
  return given ?? key;
}

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const DOT = 0x2e;

/** What the service takes for parts of a URL's path, and what servers on the way do not let pass. */
function isUnfit(code: number): boolean {
  return code === SLASH || code === BACKSLASH || isControl(code);
}

/** The id of a key: the key itself, but for characters that no id can hold. Throws a StoreError of code `refused`. */
export function idOf(key: string): string {
  if (!key.isWellFormed()) throw new StoreError("refused", "the key holds half a surrogate pair, which no id can hold");
  const id = spellingOf(key);
  if (Buffer.byteLength(id) > KEY_BYTES_MAX)
    throw new StoreError("refused", `the key has more than the ${KEY_BYTES_MAX} bytes that an id may have`);
  return id;
}

/** The key of an id, or null when no key has it. */
export function keyOf(id: string): string | null {
  const key = unspell(id);
  return spellingOf(key) === id ? key : null;
}

/** The beginnings of the ids of all keys that begin with `start`, mostly one; other ids may have them too. */
export function idStarts(start: string): readonly [string, ...string[]] {
  const usual = spell(start, isUnfit);
  return isDots(start) ? [usual, spellingOf(start)] : [usual];
}

function spellingOf(key: string): string {
  return isDots(key) ? markedCode(DOT).repeat(key.length) : spell(key, isUnfit);
}

/** In a URL these two would be the collection of documents and the container. */
function isDots(key: string): boolean {
  return key === "." || key === "..";
}

/** A document as it is sent, as JSON text. Throws a StoreError of code `refused`. */
export function toDocument(write: Write, layout: Layout): string {
  if (write.bytes.length > VALUE_BYTES_MAX)
    throw new StoreError("refused", `the value has ${write.bytes.length} bytes, a document takes ${VALUE_BYTES_MAX}`);
  const { value, isBinary } = toValue(write, layout);
  const id = JSON.stringify(idOf(write.key));
  const partition = JSON.stringify(partitionOf(write.key, write.metadata));
  const ttl = ttlOf(write.ttlSec, layout.expiry);
  const document = `{"id":${id},"value":${value},"isBinary":${isBinary},"partitionKey":${partition}${ttl}}`;
  if (Buffer.byteLength(document) <= DOCUMENT_BYTES_MAX - SERVER_BYTES) return document;
  throw new StoreError(
    "refused",
    `the value does not fit into a document, which has ${DOCUMENT_BYTES_MAX} bytes at most`,
  );
}

/** A document that is there for a moment within one transaction, so that a delete finds it. */
export function toPlaceholder(id: string, partition: string): string {
  return `{"id":${JSON.stringify(id)},"value":null,"isBinary":false,"partitionKey":${JSON.stringify(partition)}}`;
}

function ttlOf(ttlSec: number | null, expiry: Expiry): string {
  if (ttlSec !== null) return `,"ttl":${ttlSec}`;
  return expiry.kind === "always" ? ',"ttl":-1' : "";
}

function toValue({ bytes, isJson }: Write, layout: Layout): { readonly value: string; readonly isBinary: boolean } {
  const buffer = asBuffer(bytes);
  if (isJson) return { value: jsonOf(buffer, layout), isBinary: false };
  const object = layout.rawJson ? rawObject(buffer) : null;
  return object === null
    ? { value: `"${buffer.toString("base64")}"`, isBinary: true }
    : { value: object, isBinary: false };
}

function jsonOf(buffer: Buffer, { lossyValues }: Layout): string {
  // Only then is the text that the server gets the one that came in.
  const kept = isUtf8(buffer) ? keep(buffer.toString(), { lossy: lossyValues }) : { problem: "what is no UTF-8" };
  if ("json" in kept) return kept.json;
  const way = lossyValues ? "" : '; lossyValues "true" takes numbers that are rounded';
  throw new StoreError("refused", `the value holds ${kept.problem}, which Cosmos DB does not keep${way}`);
}

const OPEN_OBJECT = 0x7b;

/** The text of a JSON object that comes back byte by byte; null for everything else. */
function rawObject(buffer: Buffer): string | null {
  if (buffer[0] !== OPEN_OBJECT || !isUtf8(buffer)) return null;
  const text = buffer.toString();
  const kept = keep(text, { lossy: false });
  return "json" in kept && kept.json === text ? text : null;
}

/** A document as the server gives it back. Members beside these are the server's own, or somebody else's. */
export interface StoredDocument {
  readonly id: string;
  readonly partitionKey: string;
  readonly value: unknown;
  readonly isBinary: boolean;
  readonly etag: string | null;
  readonly ttl: number | null;
  /** When it was written, in seconds since 1970. */
  readonly ts: number | null;
}

/** What JSON may have made of a document. */
interface Members {
  readonly id?: unknown;
  readonly value?: unknown;
  readonly isBinary?: unknown;
  readonly partitionKey?: unknown;
  readonly ttl?: unknown;
  readonly _etag?: unknown;
  readonly _ts?: unknown;
}

/** Null for what is not in this layout. */
export function readDocument(document: unknown): StoredDocument | null {
  if (typeof document !== "object" || document === null || !("value" in document)) return null;
  const { id, value, isBinary, partitionKey, ttl, _etag: etag, _ts: ts }: Members = document;
  if (typeof id !== "string" || typeof partitionKey !== "string") return null;
  return {
    id,
    partitionKey,
    value,
    isBinary: isBinary === true,
    etag: typeof etag === "string" && etag !== "" ? etag : null,
    ttl: typeof ttl === "number" ? ttl : null,
    ts: typeof ts === "number" ? ts : null,
  };
}

/** The value of a document. Throws a StoreError of code `corrupt`. */
export function toFound(document: StoredDocument, { expiry }: Layout): Found {
  return { bytes: toBytes(document), etag: document.etag, expiresAtMs: expiresAtMs(document, expiry) };
}

export function corruptError(why: string): StoreError {
  return new StoreError("corrupt", `the document under the key is not in the layout of state.azure.cosmosdb: ${why}`);
}

function toBytes({ value, isBinary }: StoredDocument): Uint8Array {
  if (!isBinary) return Buffer.from(JSON.stringify(value));
  if (value === null) return Buffer.alloc(0);
  if (typeof value !== "string") throw corruptError("isBinary is set and its value is no string");
  const bytes = Buffer.from(value, "base64");
  // Node's decoder skips what is no base64, so only the way back shows whether all of it was. Dapr tells the text then.
  return bytes.toString("base64") === value ? bytes : Buffer.from(value);
}

function expiresAtMs({ ttl, ts }: StoredDocument, expiry: Expiry): number | null {
  const sec = ttl ?? (expiry.kind === "always" ? expiry.defaultSec : null);
  if (expiry.kind === "off" || sec === null || sec < 0 || ts === null) return null;
  return (ts + sec) * 1000;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
