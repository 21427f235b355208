// What a SQL Server answers, written: rows, errors, the end of a statement, changes of the session
// (the document MS-TDS 2.2.7). Knows no client and no statement.
import { PRELOGIN, RESPONSE } from "./messages.ts";

/** How a column's values are written. */
export type ColumnType = "nvarchar" | "varbinary" | "binary" | "bigint" | "int" | "bit";

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

export interface Rows {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly unknown[])[];
}

const HEADER_BYTES = 8;
const PACKET_BYTES = 4096;

/** A message in packets. */
export function toPackets(data: Buffer): Buffer {
  const packets: Buffer[] = [];
  for (let at = 0; at === 0 || at < data.length; at += PACKET_BYTES - HEADER_BYTES) {
    const part = data.subarray(at, at + PACKET_BYTES - HEADER_BYTES);
    const isLast = at + part.length >= data.length;
    const header = Buffer.from([RESPONSE, isLast ? 1 : 0, 0, 0, 0, 0, (packets.length + 1) & 0xff, 0]);
    header.writeUInt16BE(HEADER_BYTES + part.length, 2);
    packets.push(header, part);
  }
  return Buffer.concat(packets);
}

const ENCRYPTS = 1;
const KNOWS_NO_ENCRYPTION = 2;

/** This server is version 16. */
export function prelogin({ encrypts }: { encrypts: boolean } = { encrypts: false }): Buffer {
  const version = Buffer.from([0, 0, 11, 0, 6]);
  const encryption = Buffer.from([1, 0, 17, 0, 1]);
  const values = Buffer.from([16, 0, 0, 0, 0, 0, encrypts ? ENCRYPTS : KNOWS_NO_ENCRYPTION]);
  return Buffer.concat([version, encryption, Buffer.from([0xff]), values]);
}

export { PRELOGIN };

export function loginAccepted(database: string): Buffer {
  const name = shortText("Microsoft SQL Server");
  const body = Buffer.concat([Buffer.from([1, 0x74, 0, 0, 4]), name, Buffer.from([16, 0, 0, 0])]);
  const envChange = change(1, shortText(database), shortText("master"));
  return Buffer.concat([envChange, token(0xad, body), done(0)]);
}

const TRANSACTION_ID = Buffer.from([1, 0, 0, 0, 0, 0, 0, 1]);

export function began(): Buffer {
  return change(8, shortBytes(TRANSACTION_ID), shortBytes(Buffer.alloc(0)));
}

/** `how`: 9 for a commit, 10 for a rollback. */
export function transactionEnded(how: 9 | 10): Buffer {
  return change(how, shortBytes(Buffer.alloc(0)), shortBytes(TRANSACTION_ID));
}

export interface ServerError {
  readonly number: number;
  /** From 20 on the server ends the connection. */
  readonly severity?: number;
  readonly text?: string;
}

export function errorToken({ number, severity = 16, text = "the server's own words" }: ServerError): Buffer {
  const head = Buffer.alloc(6);
  head.writeInt32LE(number);
  head.writeUInt8(1, 4);
  head.writeUInt8(severity, 5);
  const line = Buffer.from([1, 0, 0, 0]);
  return token(0xaa, Buffer.concat([head, longText(text), shortText("testserver"), shortText(""), line]));
}

export const DONE_ERROR = 0x02;
export const DONE_ATTENTION = 0x20;

/** The end of a statement. `status`: of the bits above. */
export function done(status: number): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt16LE(status);
  return Buffer.concat([Buffer.from([0xfd]), body]);
}

export function rowsToken({ columns, rows }: Rows): Buffer {
  const count = Buffer.alloc(2);
  count.writeUInt16LE(columns.length);
  const metadata = columns.map(({ name, type }) => {
    const flags = Buffer.from([0, 0, 0, 0, 1, 0]);
    return Buffer.concat([flags, typeInfo(type), shortText(name)]);
  });
  const values = rows.map((row) => {
    const cells = columns.map(({ type }, index) => cell(type, row[index]));
    return Buffer.concat([Buffer.from([0xd1]), ...cells]);
  });
  return Buffer.concat([Buffer.from([0x81]), count, ...metadata, ...values]);
}

const ANY_COLLATION = Buffer.from([0x09, 0x04, 0xd0, 0x00, 0x34]);

function typeInfo(type: ColumnType): Buffer {
  switch (type) {
    case "nvarchar":
      return Buffer.concat([Buffer.from([0xe7, 0xff, 0xff]), ANY_COLLATION]);
    case "varbinary":
      return Buffer.from([0xa5, 0xff, 0xff]);
    case "binary":
      return Buffer.from([0xad, 8, 0]);
    case "bigint":
      return Buffer.from([0x26, 8]);
    case "int":
      return Buffer.from([0x26, 4]);
    case "bit":
      return Buffer.from([0x68, 1]);
  }
}

function cell(type: ColumnType, value: unknown): Buffer {
  if (type === "nvarchar" || type === "varbinary") return chunks(value === null ? null : bytesOf(value));
  if (type === "binary") {
    const bytes = bytesOf(value);
    const length = Buffer.alloc(2);
    length.writeUInt16LE(bytes.length);
    return Buffer.concat([length, bytes]);
  }
  return value === null ? Buffer.from([0]) : wholeNumber(type, BigInt(Number(value)));
}

function wholeNumber(type: "bigint" | "int" | "bit", value: bigint): Buffer {
  if (type === "bit") return Buffer.from([1, Number(value)]);
  const bytes = Buffer.alloc(type === "bigint" ? 8 : 4);
  if (type === "bigint") bytes.writeBigInt64LE(value);
  else bytes.writeInt32LE(Number(value));
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function bytesOf(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  return Buffer.from(String(value), "ucs2");
}

function chunks(bytes: Buffer | null): Buffer {
  const length = Buffer.alloc(8, 0xff);
  if (bytes === null) return length;
  length.writeBigUInt64LE(BigInt(bytes.length));
  const chunk = Buffer.alloc(4);
  chunk.writeUInt32LE(bytes.length);
  return bytes.length === 0 ? Buffer.concat([length, chunk]) : Buffer.concat([length, chunk, bytes, Buffer.alloc(4)]);
}

function change(kind: number, now: Buffer, before: Buffer): Buffer {
  return token(0xe3, Buffer.concat([Buffer.from([kind]), now, before]));
}

function token(kind: number, body: Buffer): Buffer {
  const head = Buffer.alloc(3);
  head.writeUInt8(kind);
  head.writeUInt16LE(body.length, 1);
  return Buffer.concat([head, body]);
}

function shortBytes(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function shortText(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "ucs2")]);
}

function longText(text: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(text.length);
  return Buffer.concat([length, Buffer.from(text, "ucs2")]);
}
