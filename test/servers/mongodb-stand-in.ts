// A stand-in for the primary of a MongoDB replica set, which no registry has: speaks the wire protocol (OP_MSG), records
// commands, and answers what a test tells it to. Stores nothing, and so proves no more than the shape of requests and what
// becomes of answers.
import { createServer, type Server, type Socket } from "node:net";
import { BSON, type Document } from "mongodb";

/** A command as it came. */
export interface Recorded {
  readonly name: string;
  /** Statements of a sequence stand under its name, as those of an array do. */
  readonly body: Document;
  readonly bytes: Buffer;
}

/** A document, its bytes, a connection that ends when the command is there, or nothing at all. */
export type Answer = Document | Uint8Array | "cut" | "silence";

export interface StandInOptions {
  /** What the server's clock is ahead of ours. */
  readonly aheadMs?: number;
  /** More members of what it says of itself; undefined takes one out. */
  readonly hello?: Document;
}

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const HEADER = 16;

export class MongodbStandIn {
  readonly commands: Recorded[] = [];
  readonly #answers = new Map<string, Answer[]>();
  readonly #whens = new Map<string, () => void>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #options: StandInOptions;

  private constructor(options: StandInOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(options: StandInOptions = {}): Promise<MongodbStandIn> {
    const standIn = new MongodbStandIn(options);
    await new Promise<void>((resolve) => standIn.#server.listen(0, "127.0.0.1", resolve));
    return standIn;
  }

  get address(): string {
    const address = this.#server.address();
    return `127.0.0.1:${address !== null && typeof address === "object" ? address.port : 0}`;
  }

  /** The next commands of this name get these answers, one after the other; later ones the usual. */
  answer(name: string, ...answers: readonly Answer[]): void {
    this.#answers.set(name, [...(this.#answers.get(name) ?? []), ...answers]);
  }

  /** Calls `then` when the next command of this name is there, before its answer. */
  when(name: string, then: () => void): void {
    this.#whens.set(name, then);
  }

  /** The commands of these names so far. */
  told(...names: readonly string[]): readonly Recorded[] {
    return this.commands.filter(({ name }) => names.includes(name));
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let pending = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= HEADER && pending.length >= pending.readInt32LE(0)) {
        const length = pending.readInt32LE(0);
        this.#take(socket, pending.subarray(0, length));
        pending = pending.subarray(length);
      }
    });
  }

  #take(socket: Socket, message: Buffer): void {
    const isQuery = message.readInt32LE(12) === OP_QUERY;
    const body = isQuery ? bodyOfQuery(message) : bodyOfMessage(message);
    const [name = ""] = Object.keys(body);
    this.commands.push({ name, body, bytes: Buffer.from(message) });
    const then = this.#whens.get(name);
    this.#whens.delete(name);
    then?.();
    const answer = this.#answers.get(name)?.shift() ?? this.#usual(name, body);
    if (answer === "silence") return;
    if (answer === "cut") {
      socket.destroy();
      return;
    }
    const document = answer instanceof Uint8Array ? answer : BSON.serialize(answer);
    socket.write(isQuery ? replyTo(message, document) : messageTo(message, document));
  }

  #usual(name: string, body: Document): Document {
    const collection = `${body.$db}.${body[name]}`;
    switch (name.toLowerCase()) {
      case "hello":
      case "ismaster":
        return this.#hello();
      case "find":
      case "listcollections":
        return { cursor: { id: 0n, ns: collection, firstBatch: [] }, ok: 1 };
      case "update":
        return { n: body.updates.length, nModified: body.updates.length, ok: 1 };
      case "delete":
        return { n: body.deletes.length, ok: 1 };
      default:
        return { ok: 1 };
    }
  }

  #hello(): Document {
    const { aheadMs = 0, hello = {} } = this.#options;
    const self = this.address;
    return {
      helloOk: true,
      ismaster: true,
      isWritablePrimary: true,
      setName: "rs0",
      setVersion: 1,
      hosts: [self],
      primary: self,
      me: self,
      maxBsonObjectSize: 16 * 1024 * 1024,
      maxMessageSizeBytes: 48_000_000,
      maxWriteBatchSize: 100_000,
      localTime: new Date(Date.now() + aheadMs),
      logicalSessionTimeoutMinutes: 30,
      minWireVersion: 0,
      maxWireVersion: 21,
      ok: 1,
      ...hello,
    };
  }
}

/** Lengths and flags, the collection's name with its NUL, two numbers, the command. */
function bodyOfQuery(message: Buffer): Document {
  return BSON.deserialize(message.subarray(message.indexOf(0, HEADER + 4) + 1 + 8));
}

function bodyOfMessage(message: Buffer): Document {
  const sequences: [string, Document[]][] = [];
  let body: Document = {};
  for (let at = HEADER + 4; at < message.length; ) {
    const length = message.readInt32LE(at + 1);
    const section = message.subarray(at + 1, at + 1 + length);
    if (message[at] === 0) body = decode(section);
    else sequences.push(readSequence(section));
    at += 1 + length;
  }
  return { ...body, ...Object.fromEntries(sequences) };
}

function readSequence(section: Buffer): [string, Document[]] {
  const nameEnd = section.indexOf(0, 4);
  const documents: Document[] = [];
  for (let at = nameEnd + 1; at < section.length; at += section.readInt32LE(at))
    documents.push(decode(section.subarray(at, at + section.readInt32LE(at))));
  return [section.toString("utf8", 4, nameEnd), documents];
}

function decode(bytes: Buffer): Document {
  return BSON.deserialize(bytes, { promoteValues: true, useBigInt64: true, validation: { utf8: false } });
}

function messageTo(request: Buffer, document: Uint8Array): Buffer {
  return framed(request, OP_MSG, Buffer.concat([Buffer.alloc(4 + 1), document]));
}

function replyTo(request: Buffer, document: Uint8Array): Buffer {
  const lead = Buffer.alloc(4 + 8 + 4 + 4);
  lead.writeInt32LE(1, 16);
  return framed(request, OP_REPLY, Buffer.concat([lead, document]));
}

function framed(request: Buffer, opCode: number, content: Buffer): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeInt32LE(HEADER + content.length, 0);
  header.writeInt32LE(request.readInt32LE(4), 8);
  header.writeInt32LE(opCode, 12);
  return Buffer.concat([header, content]);
}
