// The few messages of etcd's API that this driver sends and reads, in protobuf's wire format. Field numbers from etcd's
// rpc.proto and kv.proto, version 3; unknown fields are passed over. Knows no connection.
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** A method of etcd's services, and whether it may change what is stored under a key. */
export interface Method {
  readonly path: string;
  readonly effect: "read" | "write";
}

type MethodName = "range" | "ranges" | "txn" | "leaseGrant" | "leaseRevoke" | "leaseTimeToLive" | "authenticate";

export const METHODS: Readonly<Record<MethodName, Method>> = {
  range: { path: "/etcdserverpb.KV/Range", effect: "read" },
  /** A transaction of ranges only: it changes nothing, and may be sent again. */
  ranges: { path: "/etcdserverpb.KV/Txn", effect: "read" },
  txn: { path: "/etcdserverpb.KV/Txn", effect: "write" },
  // A lease that nothing hangs on changes no key: a grant may be sent again.
  leaseGrant: { path: "/etcdserverpb.Lease/LeaseGrant", effect: "read" },
  leaseRevoke: { path: "/etcdserverpb.Lease/LeaseRevoke", effect: "read" },
  leaseTimeToLive: { path: "/etcdserverpb.Lease/LeaseTimeToLive", effect: "read" },
  authenticate: { path: "/etcdserverpb.Auth/Authenticate", effect: "read" },
};

/** No lease. */
export const NO_LEASE = "0";

export interface RangeRequest {
  readonly key: Uint8Array;
  /** The first key behind the range; null for the one key. */
  readonly end: Uint8Array | null;
  readonly limit: number;
  readonly keysOnly: boolean;
}

export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Decimal, as an ETag. */
  readonly modRevision: string;
  /** Decimal; "0" for none. */
  readonly lease: string;
}

export interface RangeResponse {
  readonly rows: readonly KeyValue[];
  readonly more: boolean;
}

/** A condition on a key: it is there with this revision, or it is not there at all. */
export interface Compare {
  readonly key: Uint8Array;
  readonly modRevision: string | null;
}

export type Operation =
  | { readonly kind: "put"; readonly key: Uint8Array; readonly value: Uint8Array; readonly lease: string }
  | { readonly kind: "delete"; readonly key: Uint8Array }
  | ({ readonly kind: "range" } & RangeRequest);

export interface TxnRequest {
  readonly compares: readonly Compare[];
  readonly success: readonly Operation[];
  readonly failure: readonly Operation[];
}

/** What a range found, and how many keys a delete deleted. */
export interface TxnAnswer {
  readonly rows: readonly KeyValue[];
  readonly deleted: number;
}

export interface TxnResponse {
  readonly succeeded: boolean;
  /** One per operation that ran. */
  readonly answers: readonly TxnAnswer[];
}

export function encodeRange(request: RangeRequest): Uint8Array {
  return writeRange(new BinaryWriter(), request).finish();
}

function writeRange(writer: BinaryWriter, { key, end, limit, keysOnly }: RangeRequest): BinaryWriter {
  bytes(writer, 1, key);
  if (end !== null) bytes(writer, 2, end);
  writer.tag(3, WireType.Varint).int64(limit);
  return writer.tag(8, WireType.Varint).bool(keysOnly);
}

export function encodeTxn({ compares, success, failure }: TxnRequest): Uint8Array {
  const writer = new BinaryWriter();
  for (const compare of compares) writeCompare(message(writer, 1), compare).join();
  for (const operation of success) writeOperation(message(writer, 2), operation).join();
  for (const operation of failure) writeOperation(message(writer, 3), operation).join();
  return writer.finish();
}

const TARGET_CREATE = 1;
const TARGET_MOD = 2;

/** The result wanted is EQUAL, the number 0, which is left out. A key that is not there was created in revision 0. */
function writeCompare(writer: BinaryWriter, { key, modRevision }: Compare): BinaryWriter {
  writer.tag(2, WireType.Varint).int32(modRevision === null ? TARGET_CREATE : TARGET_MOD);
  bytes(writer, 3, key);
  return modRevision === null
    ? writer.tag(5, WireType.Varint).int64(0)
    : writer.tag(6, WireType.Varint).int64(modRevision);
}

function writeOperation(writer: BinaryWriter, operation: Operation): BinaryWriter {
  switch (operation.kind) {
    case "range":
      return writeRange(message(writer, 1), operation).join();
    case "put": {
      const put = message(writer, 2);
      bytes(put, 1, operation.key);
      bytes(put, 2, operation.value);
      return put.tag(3, WireType.Varint).int64(operation.lease).join();
    }
    case "delete":
      return bytes(message(writer, 3), 1, operation.key).join();
  }
}

export function encodeLeaseGrant(ttlSec: number): Uint8Array {
  return new BinaryWriter().tag(1, WireType.Varint).int64(ttlSec).finish();
}

/** For a revocation and for the question how long a lease has. */
export function encodeLeaseId(lease: string): Uint8Array {
  return new BinaryWriter().tag(1, WireType.Varint).int64(lease).finish();
}

export function encodeAuthenticate(name: string, password: string): Uint8Array {
  const writer = new BinaryWriter();
  bytes(writer, 1, Buffer.from(name));
  return bytes(writer, 2, Buffer.from(password)).finish();
}

function bytes(writer: BinaryWriter, field: number, value: Uint8Array): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).bytes(value);
}

/** Begins a message inside of the message; `join` ends it. */
function message(writer: BinaryWriter, field: number): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).fork();
}

/** The readers of a message's fields by number; each reads its value off the reader. */
type Fields = Readonly<Record<number, (reader: BinaryReader) => void>>;

/** Reads a message field by field; throws for bytes that are no message. */
export function readMessage(encoded: Uint8Array, fields: Fields): void {
  const reader = new BinaryReader(encoded);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const read = fields[number];
    if (read === undefined) reader.skip(wireType, number);
    else read(reader);
  }
}

export function decodeRange(encoded: Uint8Array): RangeResponse {
  const rows: KeyValue[] = [];
  let more = false;
  readMessage(encoded, {
    2: (reader) => rows.push(decodeKeyValue(reader.bytes())),
    3: (reader) => {
      more = reader.bool();
    },
  });
  return { rows, more };
}

function decodeKeyValue(encoded: Uint8Array): KeyValue {
  const row = { key: EMPTY, value: EMPTY, modRevision: "0", lease: NO_LEASE };
  readMessage(encoded, {
    1: (reader) => {
      row.key = reader.bytes();
    },
    3: (reader) => {
      row.modRevision = String(reader.int64());
    },
    5: (reader) => {
      row.value = reader.bytes();
    },
    6: (reader) => {
      row.lease = String(reader.int64());
    },
  });
  return row;
}

const EMPTY: Uint8Array = new Uint8Array(0);

export function decodeTxn(encoded: Uint8Array): TxnResponse {
  let succeeded = false;
  const answers: TxnAnswer[] = [];
  readMessage(encoded, {
    2: (reader) => {
      succeeded = reader.bool();
    },
    3: (reader) => answers.push(decodeAnswer(reader.bytes())),
  });
  return { succeeded, answers };
}

function decodeAnswer(encoded: Uint8Array): TxnAnswer {
  const answer: { rows: readonly KeyValue[]; deleted: number } = { rows: [], deleted: 0 };
  readMessage(encoded, {
    1: (reader) => {
      answer.rows = decodeRange(reader.bytes()).rows;
    },
    3: (reader) =>
      readMessage(reader.bytes(), {
        2: (inner) => {
          answer.deleted = Number(inner.int64());
        },
      }),
  });
  return answer;
}

export interface Lease {
  readonly id: string;
  /** What the server made of the seconds asked for, or how many are left; -1 when the lease is over. */
  readonly ttlSec: number;
}

/** The answer to a grant, and to the question how long a lease has. */
export function decodeLease(encoded: Uint8Array): Lease {
  const lease = { id: NO_LEASE, ttlSec: 0 };
  readMessage(encoded, {
    2: (reader) => {
      lease.id = String(reader.int64());
    },
    3: (reader) => {
      lease.ttlSec = Number(reader.int64());
    },
  });
  return lease;
}

/** The token of an answer to Authenticate. */
export function decodeToken(encoded: Uint8Array): string {
  let token = "";
  readMessage(encoded, {
    2: (reader) => {
      token = Buffer.from(reader.bytes()).toString("latin1");
    },
  });
  return token;
}
