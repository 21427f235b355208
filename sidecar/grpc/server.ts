// The gRPC server: the only file that knows @grpc/grpc-js. Takes calls from the wire, hands them to Calls and sends what
// comes back. Connections are accepted by our own listeners, as for HTTP, and handed to the library.
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { type Socket, Server as TcpServer } from "node:net";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type StatusObject,
  type sendUnaryData,
  setLogger,
} from "@grpc/grpc-js";
import type { Calls, Incoming, IncomingStream, IncomingUnary, ResponseHeaders } from "./calls.ts";
import { Code, type Status } from "./codes.ts";
import type { CallMetadata, Method } from "./method.ts";
import type { Hold, UnreadAnswers } from "./unread.ts";

export interface GrpcServerOptions {
  readonly calls: Calls;
  /** Largest message each way; 0 for no limit. */
  readonly bodyBytesMax: number;
  /** Largest header list of a call, counted as HTTP/2 counts it. */
  readonly headerBytesMax: number;
  /** What the clients of all servers have not taken. */
  readonly unread: UnreadAnswers;
}

const silent = (): void => undefined;
// The library writes metadata that it cannot read to stderr, values and all: an API token before it was checked.
setLogger({ error: silent, info: silent, debug: silent });

/** Calls of one connection under way; a client holds further ones back. */
const STREAMS_MAX = 250;
/** Dapr's numbers (dapr-state-api.md 3.1): a connection without calls is told to go after 3 minutes, */
const IDLE_MS = 180_000;
/** each is pinged every 10 s, */
const PING_EVERY_MS = 10_000;
/** and cut off when a ping is not answered. */
const PING_TIMEOUT_MS = 5_000;

/** What of the library's inside it has no option for. It is pinned to the letter, and tests hold all of it. */
interface Inside {
  readonly commonServerOptions: { settings?: object };
  _retrieveHandler(path: string): Handler;
  _streamHandler(...event: StreamEvent): void;
}

type StreamEvent = [
  interceptors: unknown,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: readonly string[],
];

type Handler = ReturnType<typeof toHandler>;

/** A server that is not yet listening. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const bytesMax = options.bodyBytesMax === 0 ? -1 : options.bodyBytesMax;
  const library = new Server({
    "grpc.max_receive_message_length": bytesMax,
    "grpc.max_send_message_length": bytesMax,
    "grpc.max_concurrent_streams": STREAMS_MAX,
    "grpc.max_connection_idle_ms": IDLE_MS,
    "grpc.keepalive_time_ms": PING_EVERY_MS,
    "grpc.keepalive_timeout_ms": PING_TIMEOUT_MS,
    "grpc.enable_channelz": 0,
  });
  reachInside(library, options);
  return new GrpcServer(library);
}

function reachInside(library: Server, { calls, headerBytesMax, unread }: GrpcServerOptions): void {
  const inside = library as unknown as Inside;
  const { commonServerOptions } = inside;
  commonServerOptions.settings = { ...commonServerOptions.settings, maxHeaderListSize: headerBytesMax };
  const handlers = new Map([...calls.methods].map((method) => [method.path, toHandler(calls, unread, method)]));
  // The library's own answer to a method that is not there can neither be worded nor counted.
  inside._retrieveHandler = (path) => handlers.get(path) ?? unknownHandler(calls, unread, path);
  const serve = inside._streamHandler;
  inside._streamHandler = (...event) => {
    const [, stream, , , rawHeaders] = event;
    if (isTooLarge(rawHeaders, headerBytesMax)) {
      // Told by the stream's end; without a listener it would end the process.
      stream.on("error", () => undefined);
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    } else serve.apply(library, event);
  };
}

/** What HTTP/2 counts for each field besides its name and value. */
const FIELD_OVERHEAD_BYTES = 32;

/** Node holds a connection to its limit only once the client has confirmed it; until then more can come. */
function isTooLarge(rawHeaders: readonly string[], bytesMax: number): boolean {
  let bytes = (rawHeaders.length / 2) * FIELD_OVERHEAD_BYTES;
  for (const text of rawHeaders) bytes += text.length;
  return bytes > bytesMax;
}

/** Accepts connections itself, so that ports and sockets are bound as for HTTP, and hands them to the library. */
class GrpcServer extends TcpServer {
  readonly #library: Server;
  readonly #sockets = new Set<Socket>();
  #isGoing = false;

  constructor(library: Server) {
    super({ noDelay: true });
    this.#library = library;
    const injector = library.createConnectionInjector(ServerCredentials.createInsecure());
    this.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      injector.injectConnection(socket);
    });
  }

  /** Tells every client to go (GOAWAY): calls under way are answered, idle connections end. */
  closeIdleConnections(): void {
    if (this.#isGoing) return;
    this.#isGoing = true;
    this.#library.tryShutdown(() => undefined);
  }

  closeAllConnections(): void {
    this.#library.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
  }
}

export type { GrpcServer };

const asIs = (bytes: Buffer): Buffer => bytes;

function toHandler(calls: Calls, unread: UnreadAnswers, method: Method) {
  const common = { serialize: asIs, deserialize: asIs, path: method.path };
  if (method.kind === "stream") {
    const func = async (stream: ServerDuplexStream<Buffer, Buffer>): Promise<void> => {
      finish(stream, await calls.stream(method, new Stream(stream, unread)));
    };
    return { ...common, type: "bidi", func };
  }
  const func = async (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): Promise<void> => {
    const incoming = new Unary(call, unread);
    const { status, bytes } = await calls.unary(method, call.request, incoming);
    if (bytes === null) done(toStatusObject(status));
    else {
      incoming.send();
      done(null, toBuffer(bytes));
    }
  };
  return { ...common, type: "unary", func };
}

/** Answers before any message has come: what the method would take is not known. */
function unknownHandler(calls: Calls, unread: UnreadAnswers, path: string) {
  const func = async (stream: ServerDuplexStream<Buffer, Buffer>): Promise<void> => {
    finish(stream, calls.unknown(path, new Stream(stream, unread)));
  };
  return { serialize: asIs, deserialize: asIs, path, type: "bidi", func };
}

function finish(stream: ServerDuplexStream<Buffer, Buffer>, status: Status): void {
  if (status.code === "OK") stream.end();
  else stream.emit("error", toStatusObject(status));
}

function toStatusObject({ code, message, details }: Status): Partial<StatusObject> {
  const metadata = new Metadata();
  if (details !== null) metadata.set("grpc-status-details-bin", Buffer.from(details));
  return { code: Code[code], details: message, metadata };
}

type LibraryCall = Pick<
  ServerUnaryCall<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>,
  "metadata" | "cancelled" | "getDeadline" | "sendMetadata"
> & { once(event: "cancelled", listener: () => void): unknown };

/** The HTTP/2 stream under a call. */
function streamUnder(call: LibraryCall): ServerHttp2Stream {
  return (call as unknown as { readonly call: { readonly stream: ServerHttp2Stream } }).call.stream;
}

class LibraryIncoming implements Incoming {
  readonly metadata: CallMetadata;
  protected readonly unread: UnreadAnswers;
  protected readonly stream: ServerHttp2Stream;
  readonly #call: LibraryCall;
  #abort: AbortController | null = null;

  constructor(call: LibraryCall, unread: UnreadAnswers) {
    this.#call = call;
    this.unread = unread;
    this.stream = streamUnder(call);
    this.metadata = { get: (name) => call.metadata.get(name)[0] };
  }

  get deadlineMs(): number | null {
    const deadline = this.#call.getDeadline();
    const ms = typeof deadline === "number" ? deadline : deadline.getTime();
    return Number.isFinite(ms) ? ms : null;
  }

  get isGone(): boolean {
    return this.#call.cancelled;
  }

  /** Made only for those who ask: most calls never do. */
  get signal(): AbortSignal {
    if (this.#abort === null) {
      const abort = new AbortController();
      this.#abort = abort;
      const leave = (): void => abort.abort(new Error("the client left, or its deadline has passed"));
      if (this.#call.cancelled) leave();
      else this.#call.once("cancelled", leave);
    }
    return this.#abort.signal;
  }

  respondHeaders(headers: ResponseHeaders): void {
    const metadata = new Metadata();
    for (const [name, value] of headers) metadata.set(name, typeof value === "string" ? value : Buffer.from(value));
    this.#call.sendMetadata(metadata);
  }
}

class Unary extends LibraryIncoming implements IncomingUnary {
  #held: Hold | null = null;

  hasRoom(bytes: number): boolean {
    return this.unread.hasRoom(this.stream, bytes);
  }

  hold(bytes: number): void {
    this.#held ??= this.unread.hold(this.stream, bytes);
  }

  /** What is held goes out now. */
  send(): void {
    if (this.#held !== null) this.unread.send(this.#held);
  }
}

class Stream extends LibraryIncoming implements IncomingStream {
  readonly requests: AsyncIterable<Uint8Array>;
  readonly #duplex: ServerDuplexStream<Buffer, Buffer>;

  constructor(stream: ServerDuplexStream<Buffer, Buffer>, unread: UnreadAnswers) {
    super(stream, unread);
    this.#duplex = stream;
    // Who stops reading still answers.
    this.requests = stream.iterator({ destroyOnReturn: false });
  }

  /** One at a time, so that no more than one waits: it has room in any case. */
  send(bytes: Uint8Array): Promise<void> {
    const hold = this.unread.hold(this.stream, bytes.length);
    this.unread.send(hold);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Of a call that is over the library says nothing more.
    const leave = (): void => reject(this.signal.reason);
    if (this.signal.aborted) leave();
    this.signal.addEventListener("abort", leave, { once: true });
    this.#duplex.write(toBuffer(bytes), () => {
      this.signal.removeEventListener("abort", leave);
      this.unread.release(hold);
      resolve();
    });
    return promise;
  }
}

/** The same bytes as the library wants them. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
