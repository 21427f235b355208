// Dapr's layouts in SQL Server, one per version: what a value and a row are (dapr-state-stores.md 8b, 8c). Knows the columns
// of one row; the statements are in statements.ts.
import { isUtf8 } from "node:buffer";
import { type Features, type Found, type Limits, StoreError, type Traits, type Write } from "../store.ts";
import type { KeyColumn } from "./keys.ts";
import type { Row, Values } from "./session.ts";
import type { Parameters } from "./statements.ts";

export type Version = "v1" | "v2";

export const capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL", "TTL"];

export function featuresOf(key: KeyColumn): Features {
  return { etag: true, transactions: true, ttl: true, list: key.walkable };
}

export const traits: Traits = {
  values: "exact-bytes",
  foreignEtag: "invalid",
  etagMayBeQuoted: false,
  firstWriteDelete: "ignored",
  ttlStepMs: 1,
  durable: true,
  // By code units, which is not the order of UTF-8 for the characters outside the first plane.
  listOrder: "none",
  queryStrings: "typed",
  strongRead: "the same as any read: the server of connectionString is asked, and shows all that it answered before",
  strongWrite:
    "the server has committed it, written it to its log and replicated it as its availability mode and DELAYED_DURABILITY say",
};

const MIB = 1024 * 1024;
/** A column ends at 2 GiB, which are 1 GiB of characters, and one string of Node before that. */
const VALUE_BYTES_MAX = 255 * MIB;

export function limitsOf(key: KeyColumn): Limits {
  return { valueBytesMax: VALUE_BYTES_MAX, keyBytesMax: key.bytesMax, operationsMax: null, ttlSecMin: 1 };
}

/** How statements write and read a value. */
export interface ValueColumn {
  readonly columns: readonly string[];
  /** One for each column, in the same order. */
  readonly parameters: Parameters;
  /** Of a table that is made. */
  readonly definitions: readonly string[];
  /** True for a row of this layout. */
  readonly valid: string;
  /** Bytes of the value, or fewer. */
  readonly size: string;
  /** Throws a StoreError of code `refused`. */
  readonly toValues: (write: Write) => Values;
  /** Throws a StoreError of code `corrupt`. */
  readonly toBytes: (row: Row) => Uint8Array;
}

/** Two bytes of the column are one of UTF-8 at least. */
const TEXT_SIZE = "DATALENGTH([Data]) / 2";

/** Texts alone; raw bytes are taken for UTF-8. */
const v1: ValueColumn = {
  columns: ["Data"],
  parameters: [["Data", "text"]],
  definitions: ["[Data] NVARCHAR(MAX) NOT NULL"],
  valid: "[Data] IS NOT NULL",
  size: TEXT_SIZE,
  toValues: ({ bytes }) => {
    if (!isUtf8(bytes))
      throw new StoreError(
        "refused",
        "the value is no text in UTF-8, and version v1 of state.sqlserver keeps texts alone; version v2 keeps any bytes",
      );
    return { Data: asBuffer(bytes).toString() };
  },
  toBytes: ({ Data }) => fromText(Data),
};

const v2: ValueColumn = {
  columns: ["Data", "BinaryData", "isBinary"],
  parameters: [
    ["Data", "text"],
    ["BinaryData", "bytes"],
    ["IsBinary", "flag"],
  ],
  definitions: ["[Data] NVARCHAR(MAX) NULL", "[BinaryData] VARBINARY(MAX) NULL", "[isBinary] BIT NOT NULL DEFAULT 0"],
  valid:
    "(CASE WHEN [isBinary] = 1 THEN CASE WHEN [BinaryData] IS NULL THEN 0 ELSE 1 END WHEN [Data] IS NULL THEN 0 ELSE 1 END) = 1",
  size: `CASE WHEN [isBinary] = 1 THEN DATALENGTH([BinaryData]) ELSE ${TEXT_SIZE} END`,
  toValues: ({ bytes, isJson }) =>
    isJson
      ? { Data: asBuffer(bytes).toString(), BinaryData: null, IsBinary: false }
      : { Data: null, BinaryData: Buffer.from(bytes), IsBinary: true },
  toBytes: ({ Data, BinaryData, isBinary }) => {
    if (isBinary !== true) return fromText(Data);
    if (!Buffer.isBuffer(BinaryData)) throw corrupt("isBinary is set and BinaryData is null");
    return BinaryData;
  },
};

export const VALUE_COLUMNS: Readonly<Record<Version, ValueColumn>> = { v1, v2 };

/** A selected row as the store answers it. Throws a StoreError of code `corrupt`. */
export function toFound(row: Row, value: ValueColumn): Found {
  const { RowVersion, Expires } = row;
  return {
    bytes: value.toBytes(row),
    etag: Buffer.isBuffer(RowVersion) ? RowVersion.toString("hex") : null,
    expiresAtMs: Expires === null || Expires === undefined ? null : Number(Expires),
  };
}

const HEX = /^(?:[0-9a-fA-F]{2})+$/;
const VERSION_BYTES = 8;

/**
 * The row version that an ETag means; null for one that no row has. Throws a StoreError of code `etag-invalid` for what is
 * no hexadecimal text (dapr-state-stores.md 8c).
 */
export function toVersion(etag: string): Buffer | null {
  if (!HEX.test(etag))
    throw new StoreError("etag-invalid", "an etag of state.sqlserver is the hexadecimal text of a row version");
  // In capitals it is not the text that was given out.
  return etag.length === 2 * VERSION_BYTES && etag === etag.toLowerCase() ? Buffer.from(etag, "hex") : null;
}

function fromText(text: unknown): Uint8Array {
  if (typeof text !== "string") throw corrupt("Data is null");
  if (!text.isWellFormed()) throw corrupt("Data holds half a surrogate pair");
  return Buffer.from(text);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function corrupt(why: string): StoreError {
  return new StoreError("corrupt", `the row under the key is not in the layout of state.sqlserver: ${why}`);
}
