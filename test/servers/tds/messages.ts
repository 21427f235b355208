// What a client of SQL Server sends, read: packets into messages, a sign-in, a batch, a call with its parameters
// (the documents MS-TDS 2.2.3 and 2.2.6). Knows no statement.

/** Types of messages. */
export const BATCH = 1;
export const RPC = 3;
export const RESPONSE = 4;
export const ATTENTION = 6;
export const TRANSACTION = 14;
export const LOGIN = 16;
export const PRELOGIN = 18;

const HEADER_BYTES = 8;
const END_OF_MESSAGE = 1;
const IGNORED = 2;

export interface Message {
  readonly type: number;
  readonly data: Buffer;
  /** The client took it back before its end: nothing of it counts. */
  readonly ignored: boolean;
}

/** Puts packets together, whatever pieces they come in. */
export class MessageReader {
  #pending: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];

  read(chunk: Buffer): readonly Message[] {
    const messages: Message[] = [];
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= HEADER_BYTES) {
      const length = this.#pending.readUInt16BE(2);
      if (this.#pending.length < length) break;
      const [type = 0, status = 0] = this.#pending;
      this.#parts.push(this.#pending.subarray(HEADER_BYTES, length));
      this.#pending = this.#pending.subarray(length);
      if ((status & END_OF_MESSAGE) === 0) continue;
      messages.push({ type, data: Buffer.concat(this.#parts), ignored: (status & IGNORED) !== 0 });
      this.#parts = [];
    }
    return messages;
  }
}

/** Goes through a message from its beginning. */
export class Cursor {
  readonly #data: Buffer;
  at = 0;

  constructor(data: Buffer, at = 0) {
    this.#data = data;
    this.at = at;
  }

  get left(): number {
    return this.#data.length - this.at;
  }

  number(bytes: number): number {
    const value = this.#data.readUIntLE(this.at, bytes);
    this.at += bytes;
    return value;
  }

  bytes(length: number): Buffer {
    const value = this.#data.subarray(this.at, this.at + length);
    this.at += length;
    return value;
  }

  text(characters: number): string {
    return this.bytes(characters * 2).toString("ucs2");
  }
}

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly application: string;
  readonly database: string;
  /** Of Microsoft Entra ID; null without one. */
  readonly token: string | null;
}

const FIELDS_AT = 36;
const EXTENSION_FIELD = 5;
const DATABASE_FIELD = 8;

export function readLogin(data: Buffer): Login {
  const place = (field: number): { at: number; length: number } => {
    const cursor = new Cursor(data, FIELDS_AT + field * 4);
    return { at: cursor.number(2), length: cursor.number(2) };
  };
  const text = (field: number): string => {
    const { at, length } = place(field);
    return new Cursor(data, at).text(length);
  };
  const { at, length } = place(2);
  const hidden = new Cursor(data, at).bytes(length * 2);
  // Half bytes changed places, and some bits were turned over.
  const shown = Uint8Array.from(hidden, (byte) => ((byte ^ 0xa5) >> 4) | (((byte ^ 0xa5) & 0x0f) << 4));
  const password = Buffer.from(shown).toString("ucs2");
  const extension = place(EXTENSION_FIELD);
  const token = extension.length === 0 ? null : readToken(data, new Cursor(data, extension.at).number(4));
  return { user: text(1), password, application: text(3), database: text(DATABASE_FIELD), token };
}

const FEDERATED = 2;
const LAST_FEATURE = 0xff;

function readToken(data: Buffer, at: number): string | null {
  const cursor = new Cursor(data, at);
  for (let feature = cursor.number(1); feature !== LAST_FEATURE; feature = cursor.number(1)) {
    const length = cursor.number(4);
    const body = new Cursor(cursor.bytes(length));
    if (feature !== FEDERATED) continue;
    body.number(1);
    return body.text(body.number(4) / 2);
  }
  return null;
}

export interface Parameter {
  readonly name: string;
  readonly value: unknown;
}

/** A batch's text. */
export function readBatch(data: Buffer): string {
  const cursor = behindHeaders(data);
  return cursor.text(cursor.left / 2);
}

/** The number of a procedure of the server's own, and its parameters. */
export function readCall(data: Buffer): { readonly procedure: number; readonly parameters: readonly Parameter[] } {
  const cursor = behindHeaders(data);
  cursor.number(2);
  const procedure = cursor.number(2);
  cursor.number(2);
  const parameters: Parameter[] = [];
  while (cursor.left > 0) {
    const name = cursor.text(cursor.number(1));
    cursor.number(1);
    parameters.push({ name, value: readValue(cursor) });
  }
  return { procedure, parameters };
}

/** 5: begin, 7: commit, 8: roll back. */
export function readTransaction(data: Buffer): number {
  return behindHeaders(data).number(2);
}

function behindHeaders(data: Buffer): Cursor {
  const cursor = new Cursor(data);
  cursor.at = cursor.number(4);
  return cursor;
}

const NULL_LENGTH = 0xffff;
const COLLATION_BYTES = 5;

function readValue(cursor: Cursor): unknown {
  const type = cursor.number(1);
  switch (type) {
    case 0x26:
    case 0x68: {
      cursor.number(1);
      const length = cursor.number(1);
      if (length === 0) return null;
      return type === 0x68 ? cursor.number(1) === 1 : cursor.bytes(length).readIntLE(0, length);
    }
    case 0xe7:
    case 0xa5:
    case 0xad: {
      const most = cursor.number(2);
      if (type === 0xe7) cursor.bytes(COLLATION_BYTES);
      const bytes = most === NULL_LENGTH ? readChunks(cursor) : readShort(cursor);
      return bytes === null || type !== 0xe7 ? bytes : bytes.toString("ucs2");
    }
    default:
      throw new Error(`a parameter of a type that this server does not read: 0x${type.toString(16)}`);
  }
}

function readShort(cursor: Cursor): Buffer | null {
  const length = cursor.number(2);
  return length === NULL_LENGTH ? null : Buffer.from(cursor.bytes(length));
}

/** A value of a type with MAX: its length, which may be unknown, then chunks until an empty one. */
function readChunks(cursor: Cursor): Buffer | null {
  if (cursor.bytes(8).readBigUInt64LE() === 2n ** 64n - 1n) return null;
  const chunks: Buffer[] = [];
  for (let length = cursor.number(4); length > 0; length = cursor.number(4)) chunks.push(cursor.bytes(length));
  return Buffer.concat(chunks);
}
