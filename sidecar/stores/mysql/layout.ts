// Dapr's layout in MySQL and MariaDB: what a key, a value and a row are (dapr-state-stores.md 6b, 6c). Knows the columns of
// one row; the statements are in statements.ts.
import { type Features, type Found, type Limits, StoreError, type Traits, type Write } from "../store.ts";
import { changesNumbers } from "./json-loss.ts";
import type { Row } from "./session.ts";

export const capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];

/** What the table is like that was found or made. */
export interface Table {
  /** Its type JSON parses and spells anew (MySQL); else it is a text that is checked (MariaDB). */
  readonly parsesJson: boolean;
  /** Of the key's column. */
  readonly charset: string;
  readonly collation: string;
  /** Of the server, for one statement. */
  readonly packetBytesMax: number;
}

/** Collations that compare keys byte by byte, spaces at the end included. */
const BYTE_COLLATIONS: ReadonlySet<string> = new Set(["utf8mb4_nopad_bin", "utf8mb4_0900_bin"]);

export function isByteOrder({ collation }: Table): boolean {
  return BYTE_COLLATIONS.has(collation);
}

export function featuresOf(table: Table): Features {
  return { etag: true, transactions: true, ttl: true, list: isByteOrder(table) };
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
  strongRead: "the same as any read: the server of connectionString is asked, and shows all that it answered before",
  strongWrite:
    "the server has committed it, flushed and replicated as its innodb_flush_log_at_trx_commit and its replication say",
};

/** The column has 255 characters; of keys that are not ASCII alone some would fit that are longer in bytes. */
export const KEY_BYTES_MAX = 255;
const MIB = 1024 * 1024;
/** As base64 and in one string of Node. */
const VALUE_BYTES_MAX = 255 * MIB;
/** For the rest of a statement: its key, its ETag, what the protocol adds. */
const PACKET_REST_BYTES = 64 * 1024;

export function limitsOf({ packetBytesMax }: Table): Limits {
  // Raw bytes stand there as base64, which has four characters for three bytes.
  const fitting = Math.floor((packetBytesMax - PACKET_REST_BYTES) / 4) * 3;
  return {
    valueBytesMax: Math.min(VALUE_BYTES_MAX, fitting),
    keyBytesMax: KEY_BYTES_MAX,
    operationsMax: null,
    ttlSecMin: 1,
  };
}

/** Throws a StoreError of code `refused` for what no column holds; for the beginning of a key too. */
export function mustBeText(key: string): void {
  if (!key.isWellFormed()) throw noText();
}

export function noText(): StoreError {
  return new StoreError("refused", "the key holds half a surrogate pair, which a text of mysql cannot hold");
}

/** For a key that is written. */
export function mustFit(key: string): void {
  mustBeText(key);
  if (Buffer.byteLength(key) > KEY_BYTES_MAX)
    throw new StoreError("refused", `a key of more than ${KEY_BYTES_MAX} bytes does not fit into the table`);
}

/** The last second of the column's type, and the reason why a longer TTL cannot be kept. */
const EXPIRES_MS_MAX = (2 ** 31 - 1) * 1000;

/** Throws a StoreError of code `refused` for a TTL that ends behind the last second that the column holds. */
export function mustEnd(ttlSec: number | null, nowMs: number): void {
  if (ttlSec === null || nowMs + (ttlSec + 1) * 1000 <= EXPIRES_MS_MAX) return;
  throw new StoreError(
    "refused",
    "the TTL ends after 2038-01-19T03:14:07Z, the last second that the layout of mysql holds; write without a TTL",
  );
}

/** What a value is in the columns `value` and `isbinary`. */
export interface ValueColumns {
  readonly value: string;
  readonly isBinary: "0" | "1";
}

export interface ValueOptions {
  readonly table: Table;
  /** Take values that the JSON type changes. */
  readonly lossyValues: boolean;
  readonly valueBytesMax: number | null;
}

/** Throws a StoreError of code `refused`. */
export function toColumns({ bytes, isJson }: Write, options: ValueOptions): ValueColumns {
  const { table, lossyValues, valueBytesMax } = options;
  if (valueBytesMax !== null && bytes.length > valueBytesMax)
    throw new StoreError(
      "refused",
      `the value has more than ${valueBytesMax} bytes, by max_allowed_packet of the server`,
    );
  const buffer = asBuffer(bytes);
  if (!isJson) return { value: `"${buffer.toString("base64")}"`, isBinary: "1" };
  const value = buffer.toString();
  if (table.parsesJson && !lossyValues && changesNumbers(value))
    throw new StoreError(
      "refused",
      'the value holds a number that the JSON type of mysql changes; lossyValues "true" takes it',
    );
  return { value, isBinary: "0" };
}

/** A selected row as the store answers it. Throws a StoreError of code `corrupt`. */
export function toFound({ value, encoded, etag, expires }: Row): Found {
  if (!(value instanceof Uint8Array)) throw corrupt("its value is null, or longer than max_allowed_packet");
  return {
    bytes: Number(encoded) === 1 ? fromBase64(asBuffer(value)) : value,
    etag: typeof etag === "string" && etag !== "" ? etag : null,
    expiresAtMs: expires === null || expires === undefined ? null : Number(expires) * 1000,
  };
}

function fromBase64(json: Buffer): Uint8Array {
  const text = json.toString("latin1").trim();
  const inner = text.slice(1, -1);
  const bytes = Buffer.from(inner, "base64");
  // Node's decoder skips what is no base64, so only the way back shows whether all of it was.
  if (!text.startsWith('"') || text.length < 2 || bytes.toString("base64") !== inner)
    throw corrupt("isbinary is set and its value is no JSON string of base64");
  return bytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function corrupt(why: string): StoreError {
  return new StoreError("corrupt", `the row under the key is not in the layout of state.mysql: ${why}`);
}
