// The two layouts of Dapr: what the columns are called, what a value and an ETag are in them (dapr-state-stores.md 3b, 3c,
// 4b, 4c). Knows the columns of one row; the statements are made from this in statements.ts.
import { type Features, type Found, type Limits, StoreError, type Traits, type Write } from "../store.ts";
import { EXPANSION_FREE, EXPONENT_MAX, type JsonLoss, lossIn, withoutSurrogates } from "./json-loss.ts";
import type { Parameter } from "./session.ts";

/** Words of SQL in which the layouts differ. */
export interface Columns {
  /** The columns of a value, each with its type. */
  readonly value: readonly { readonly name: string; readonly type: string }[];
  /** What to select for a value, as the columns `value` and `encoded` of {@link Layout.found}. */
  readonly readValue: string;
  /** The bytes that reading a value will give, or a little more. */
  readonly valueBytes: string;
  readonly etag: { readonly name: string; readonly type: string };
  /** What a new row has beside what is given; null where the table's defaults say it. */
  readonly made: { readonly name: string; readonly sql: string } | null;
  /** Beside the value, what an update sets. */
  readonly touch: string;
  readonly expiry: string;
  /** Whether a row is in the layout: another one is in no walk. */
  readonly valid: string;
  /** When a row was made. */
  readonly created: string;
  /** Where the server can look into values: whether it cannot for a row, since its value is no jsonb of its own. Null: never. */
  readonly opaque: string | null;
}

export type Row = Readonly<Record<string, unknown>>;

export interface Layout {
  readonly version: "v1" | "v2";
  readonly columns: Columns;
  readonly features: Features;
  readonly traits: Traits;
  readonly limits: Limits;
  readonly capabilities: readonly string[];
  /** One parameter per column of a value. Throws a StoreError of code `refused`. */
  toColumns(write: Write): readonly Parameter[];
  /** Throws a StoreError of code `corrupt`. */
  toBytes(row: Row): Uint8Array;
  /** The spelling under which an ETag is compared. Throws etag-invalid, or etag-mismatch where no row has such a one. */
  toEtag(etag: string): string;
}

const features: Features = { etag: true, transactions: true, ttl: true, list: true };

const MIB = 1024 * 1024;
/** What fits into an entry of the table's index; PostgreSQL refuses longer ones unless they can be compressed. */
export const KEY_BYTES_MAX = 2692;
/** A string of jsonb has at most 2^28 - 1 bytes, and raw bytes stand there as base64. */
const V1_VALUE_BYTES_MAX = 191 * MIB;
/** The answer has two characters per byte, and a string of Node at most 2^29. */
const V2_VALUE_BYTES_MAX = 255 * MIB;

const commonTraits: Omit<Traits, "values" | "foreignEtag" | "queryStrings"> = {
  etagMayBeQuoted: false,
  firstWriteDelete: "ignored",
  ttlStepMs: 1,
  durable: true,
  listOrder: "key",
  strongRead:
    "the same as any read: the server that takes the writes is asked, and shows all that were answered before",
  strongWrite: "the server has committed it, flushed and replicated as its synchronous_commit says",
};

/** Base64 as RFC 4648 has it, with its padding, and bits that count for nothing zero. */
const BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";
/** A pattern takes the server four times the memory of the text: longer ones are only judged when they are read. */
const BASE64_LOOKED_BYTES_MAX = 16 * MIB;

export interface V1Options {
  /** Take values that jsonb changes. */
  readonly lossyValues: boolean;
}

export function v1Layout({ lossyValues }: V1Options): Layout {
  return {
    version: "v1",
    columns: {
      value: [
        { name: "value", type: "jsonb" },
        { name: "isbinary", type: "boolean" },
      ],
      readValue: "CASE WHEN isbinary THEN value #>> '{}' ELSE value::text END AS value, isbinary AS encoded",
      valueBytes: "octet_length(value::text)",
      etag: { name: "xmin", type: "xid" },
      made: null,
      touch: "updatedate = statement_timestamp()",
      expiry: "expiredate",
      // What fromBase64 takes. Only raw bytes are looked at, so that others need not be read.
      valid: `CASE WHEN NOT isbinary OR octet_length(value #>> '{}') > ${BASE64_LOOKED_BYTES_MAX} THEN true
        ELSE coalesce(value #>> '{}' ~ '${BASE64}', false) END`,
      created: "insertdate",
      opaque: "isbinary",
    },
    features,
    traits: { ...commonTraits, values: "json-equal", foreignEtag: "invalid", queryStrings: "loose" },
    limits: { valueBytesMax: V1_VALUE_BYTES_MAX, keyBytesMax: KEY_BYTES_MAX, operationsMax: null, ttlSecMin: 1 },
    capabilities: ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "QUERY_API"],
    toColumns: ({ bytes, isJson }) => (isJson ? [toJsonb(bytes, lossyValues), false] : [toBase64(bytes), true]),
    toBytes: ({ value, encoded }) => {
      if (typeof value !== "string") throw corrupt("its value is null");
      return encoded === true ? fromBase64(value) : Buffer.from(value);
    },
    toEtag: (etag) => {
      const number = /^\d{1,10}$/.test(etag) ? Number(etag) : Number.NaN;
      if (number <= XID_MAX) return String(number);
      throw new StoreError("etag-invalid", `an etag of this store is a whole number up to ${XID_MAX}`);
    },
  };
}

const XID_MAX = 2 ** 32 - 1;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const v2Layout: Layout = {
  version: "v2",
  columns: {
    value: [{ name: "value", type: "bytea" }],
    readValue: "value",
    valueBytes: "octet_length(value)",
    etag: { name: "etag", type: "uuid" },
    made: null,
    touch: "etag = gen_random_uuid(), updated_at = statement_timestamp()",
    expiry: "expires_at",
    valid: "true",
    created: "created_at",
    opaque: null,
  },
  features,
  traits: { ...commonTraits, values: "exact-bytes", foreignEtag: "mismatch", queryStrings: "typed" },
  limits: { valueBytesMax: V2_VALUE_BYTES_MAX, keyBytesMax: KEY_BYTES_MAX, operationsMax: null, ttlSecMin: 1 },
  capabilities: ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"],
  // A copy: the caller may use its buffer again before the statement leaves.
  toColumns: ({ bytes }) => [Buffer.from(bytes)],
  toBytes: ({ value }) => {
    if (!(value instanceof Uint8Array)) throw corrupt("its value is null");
    return value;
  },
  toEtag: (etag) => {
    if (UUID.test(etag)) return etag;
    throw new StoreError("etag-mismatch", "the value has another etag than the one passed");
  },
};

/** A selected row as the store answers it. Throws a StoreError of code `corrupt`. */
export function toFound(layout: Layout, row: Row): Found {
  const { etag, expiresAtMs } = row;
  return {
    bytes: layout.toBytes(row),
    etag: typeof etag === "string" ? etag : null,
    expiresAtMs: typeof expiresAtMs === "number" ? Math.round(expiresAtMs) : null,
  };
}

const LOSSES: Readonly<Record<JsonLoss, string>> = {
  nul: "holds \\u0000, which jsonb cannot hold; use version v2, which keeps any bytes",
  exponent: `holds a number with an exponent beyond ${EXPONENT_MAX}, whose digits jsonb would all write out; use version v2`,
  expansion: `holds exponents whose digits, which jsonb would all write out, are more than the value and ${EXPANSION_FREE}; use version v2`,
  surrogate: 'holds half a surrogate pair, which jsonb cannot hold; with lossyValues "true" it is replaced by U+FFFD',
  "negative-zero": 'holds -0, which jsonb turns into 0; with lossyValues "true" that is taken',
};

function toJsonb(bytes: Uint8Array, lossyValues: boolean): string {
  const text = asBuffer(bytes).toString();
  const loss = lossIn(text);
  if (loss === null) return text;
  const lossy = lossyValues ? withoutSurrogates(text) : { text, left: loss };
  if (lossy.left === null) return lossy.text;
  throw new StoreError("refused", `the value ${LOSSES[lossy.left]}`);
}

/** A JSON string: base64 has no character that would have to be escaped there. */
function toBase64(bytes: Uint8Array): string {
  return `"${asBuffer(bytes).toString("base64")}"`;
}

function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  // Node's decoder skips what is no base64, so only the way back shows whether all of it was.
  if (bytes.toString("base64") !== text) throw corrupt("isbinary is set and its value is no base64");
  return bytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function corrupt(why: string): StoreError {
  return new StoreError("corrupt", `the row under the key is not in the layout of state.postgresql: ${why}`);
}

/** The same where walks would read the whole table. */
export function withoutWalks(layout: Layout): Layout {
  return {
    ...layout,
    features: { ...layout.features, list: false },
    traits: { ...layout.traits, listOrder: "none" },
    // Queries go by walks.
    capabilities: layout.capabilities.filter((word) => word !== "KEYS_LIKE" && word !== "QUERY_API"),
  };
}
