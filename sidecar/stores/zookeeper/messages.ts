// The messages of ZooKeeper's protocol that are used here, as frames, and its answers out of frames
// (zookeeper.jute in Apache ZooKeeper 3.8). Knows no connection.
import { JuteReader, JuteWriter } from "./jute.ts";

/** What each kind of request is numbered as (ZooDefs.OpCode). */
const OP = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  sync: 9,
  check: 13,
  multi: 14,
  close: -11,
} as const;

/** What an answer says went wrong (KeeperException.Code), as far as it is told apart here. */
export const CODE = {
  ok: 0,
  systemError: -1,
  runtimeInconsistency: -2,
  dataInconsistency: -3,
  connectionLoss: -4,
  marshallingError: -5,
  unimplemented: -6,
  operationTimeout: -7,
  badArguments: -8,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidAcl: -114,
  sessionMoved: -118,
  requestTimeout: -122,
  quotaExceeded: -125,
  throttled: -127,
} as const;

export interface Request {
  /** With room for the number that the connection gives it: see {@link numberFrame}. */
  readonly frame: Buffer;
  readonly isWrite: boolean;
}

export interface Reply {
  /** One of {@link CODE}, or another of the server's. */
  readonly code: number;
  /** What follows the head; nothing where `code` is not ok. */
  readonly body: JuteReader;
}

export interface Stat {
  /** The transaction that made the node: no other node ever has it. */
  readonly czxid: bigint;
  readonly version: number;
  readonly dataLength: number;
  readonly numChildren: number;
}

/** Any version of a node. */
export const ANY_VERSION = -1;

/** A change inside a transaction. */
export type Operation =
  | { readonly kind: "create"; readonly path: string; readonly data: Uint8Array | null }
  | { readonly kind: "set"; readonly path: string; readonly data: Uint8Array | null; readonly version: number }
  | { readonly kind: "delete" | "check"; readonly path: string; readonly version: number };

const XID_OFFSET = 4;

function head(op: number): JuteWriter {
  // The number of the request is not known yet.
  return new JuteWriter().int(0).int(op);
}

/** Writes the number of a request into its frame. */
export function numberFrame(frame: Buffer, xid: number): void {
  frame.writeInt32BE(xid, XID_OFFSET);
}

const NO_WATCH = false;

export function getData(path: string): Request {
  return { frame: head(OP.getData).text(path).flag(NO_WATCH).finish(), isWrite: false };
}

export function exists(path: string): Request {
  return { frame: head(OP.exists).text(path).flag(NO_WATCH).finish(), isWrite: false };
}

/** Answered when this server has seen all that the leader had done by then. */
export function sync(path: string): Request {
  return { frame: head(OP.sync).text(path).finish(), isWrite: false };
}

export function change(operation: Operation): Request {
  const writer = head(opOf(operation));
  writeOperation(writer, operation);
  return { frame: writer.finish(), isWrite: true };
}

export function multi(operations: readonly Operation[]): Request {
  const writer = head(OP.multi);
  for (const operation of operations) {
    writer.int(opOf(operation)).flag(false).int(-1);
    writeOperation(writer, operation);
  }
  return { frame: writer.int(-1).flag(true).int(-1).finish(), isWrite: true };
}

export function closeSession(): Buffer {
  return head(OP.close).finish();
}

function opOf({ kind }: Operation): number {
  switch (kind) {
    case "create":
      return OP.create;
    case "set":
      return OP.setData;
    case "delete":
      return OP.delete;
    case "check":
      return OP.check;
  }
}

const ALL_RIGHTS = 31;
const PERSISTENT = 0;

function writeOperation(writer: JuteWriter, operation: Operation): void {
  writer.text(operation.path);
  if (operation.kind === "create") {
    writer.buffer(operation.data).int(1).int(ALL_RIGHTS).text("world").text("anyone").int(PERSISTENT);
    return;
  }
  if (operation.kind === "set") writer.buffer(operation.data);
  writer.int(operation.version);
}

const XID_BYTES = 4;

/** The head of an answer, the number of its request left out; `zxid` is the last transaction that the server knew. */
export function readReply(frame: Buffer): { readonly xid: number; readonly zxid: bigint; readonly reply: Reply } {
  const xid = frame.readInt32BE(0);
  const body = new JuteReader(frame.subarray(XID_BYTES));
  const zxid = body.long();
  return { xid, zxid, reply: { code: body.int(), body } };
}

export function readData({ body }: Reply): { readonly data: Buffer | null; readonly stat: Stat } {
  return { data: body.buffer(), stat: readStat(body) };
}

/** The node's state as `exists` tells it. */
export function readStat(body: JuteReader): Stat {
  const czxid = body.long();
  // mzxid, ctime, mtime
  for (let skipped = 0; skipped < 3; skipped++) body.long();
  const version = body.int();
  // cversion, aversion, ephemeralOwner
  body.int();
  body.int();
  body.long();
  return { czxid, version, dataLength: body.int(), numChildren: body.int() };
}

/** Of an operation that was not come to, because another one of its transaction failed. */
const NOT_REACHED = CODE.runtimeInconsistency;

/** Which operation of a transaction failed, null for all of it, and with what; null when all were done. */
export function readMulti({ code, body }: Reply): { readonly index: number | null; readonly code: number } | null {
  if (code !== CODE.ok) return { index: null, code };
  let failed: { index: number; code: number } | null = null;
  for (let index = 0; ; index++) {
    const type = body.int();
    const isEnd = body.flag();
    body.int();
    if (isEnd) break;
    if (type === OP.create) body.skipText();
    else if (type === OP.setData) readWholeStat(body);
    else if (type === -1) {
      const own = body.int();
      if (own !== CODE.ok && own !== NOT_REACHED) failed ??= { index, code: own };
    }
  }
  return failed;
}

function readWholeStat(body: JuteReader): void {
  readStat(body);
  // pzxid
  body.long();
}

export interface Identity {
  readonly sessionId: bigint;
  readonly password: Buffer;
}

const PASSWORD_BYTES = 16;
/** Asks for a new session. */
export const NOBODY: Identity = { sessionId: 0n, password: Buffer.alloc(PASSWORD_BYTES) };

const PROTOCOL_VERSION = 0;

export interface Greeting {
  readonly identity: Identity;
  /** The last transaction that the client has seen: a server that is behind it does not take the client. */
  readonly zxid: bigint;
  readonly timeoutMs: number;
}

/** The first frame of a connection. A server that only reads is not wanted. */
export function connectFrame({ identity, zxid, timeoutMs }: Greeting): Buffer {
  const writer = new JuteWriter().int(PROTOCOL_VERSION).long(zxid).int(timeoutMs);
  return writer.long(identity.sessionId).buffer(identity.password).flag(false).finish();
}

export interface Welcome {
  readonly identity: Identity;
  /** What the server made of the timeout that was asked for; null: the session is over. */
  readonly timeoutMs: number | null;
}

export function readWelcome(frame: Buffer): Welcome {
  const body = new JuteReader(frame);
  body.int();
  const timeoutMs = body.int();
  const identity = { sessionId: body.long(), password: Buffer.from(body.buffer() ?? NOBODY.password) };
  return { identity, timeoutMs: timeoutMs > 0 ? timeoutMs : null };
}
