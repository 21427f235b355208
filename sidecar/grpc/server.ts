// The gRPC server: the only file that knows @grpc/grpc-js. Takes calls from the wire, hands them to Calls and sends what
// comes back. Connections are accepted by our own listeners, as for HTTP, and handed to the library.
import { type Socket, Server as TcpServer } from "node:net";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type StatusObject,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { Calls, Incoming, IncomingStream, ResponseHeaders } from "./calls.ts";
import { Code, type Status } from "./codes.ts";
import type { CallMetadata, Method } from "./method.ts";

export interface GrpcServerOptions {
  readonly calls: Calls;
  /** Largest message each way; 0 for no limit. */
  readonly bodyBytesMax: number;
  /** Largest header list of a call, counted as HTTP/2 counts it. */
  readonly headerBytesMax: number;
}

/** Calls of one connection under way; a client holds further ones back. */
const STREAMS_MAX = 1000;
/** Dapr's numbers (dapr-state-api.md 3.1): a connection without calls is told to go after 3 minutes, */
const IDLE_MS = 180_000;
/** each is pinged every 10 s, */
const PING_EVERY_MS = 10_000;
/** and cut off when a ping is not answered. */
const PING_TIMEOUT_MS = 5_000;

/** Two things of the library's inside that it has no option for. It is pinned to the letter, and tests hold both. */
interface Inside {
  readonly commonServerOptions: { settings?: object };
  _retrieveHandler(path: string): Handler;
}

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

function reachInside(library: Server, { calls, headerBytesMax }: GrpcServerOptions): void {
  const inside = library as unknown as Inside;
  const { commonServerOptions } = inside;
  commonServerOptions.settings = { ...commonServerOptions.settings, maxHeaderListSize: headerBytesMax };
  const handlers = new Map([...calls.methods].map((method) => [method.path, toHandler(calls, method)]));
  // The library's own answer to a method that is not there can neither be worded nor counted.
  inside._retrieveHandler = (path) => handlers.get(path) ?? unknownHandler(calls, path);
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

function toHandler(calls: Calls, method: Method) {
  const common = { serialize: asIs, deserialize: asIs, path: method.path };
  if (method.kind === "stream") {
    const func = async (stream: ServerDuplexStream<Buffer, Buffer>): Promise<void> => {
      finish(stream, await calls.stream(method, new Stream(stream)));
    };
    return { ...common, type: "bidi", func };
  }
  const func = async (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): Promise<void> => {
    const { status, bytes } = await calls.unary(method, call.request, new Unary(call));
    if (bytes === null) done(toStatusObject(status));
    else done(null, toBuffer(bytes));
  };
  return { ...common, type: "unary", func };
}

/** Answers before any message has come: what the method would take is not known. */
function unknownHandler(calls: Calls, path: string) {
  const func = async (stream: ServerDuplexStream<Buffer, Buffer>): Promise<void> => {
    finish(stream, calls.unknown(path, new Stream(stream)));
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

class Unary implements Incoming {
  readonly metadata: CallMetadata;
  readonly #call: LibraryCall;
  #abort: AbortController | null = null;

  constructor(call: LibraryCall) {
    this.#call = call;
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

class Stream extends Unary implements IncomingStream {
  readonly requests: AsyncIterable<Uint8Array>;
  readonly #stream: ServerDuplexStream<Buffer, Buffer>;

  constructor(stream: ServerDuplexStream<Buffer, Buffer>) {
    super(stream);
    this.#stream = stream;
    // Who stops reading still answers.
    this.requests = stream.iterator({ destroyOnReturn: false });
  }

  send(bytes: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Of a call that is over the library says nothing more.
    const leave = (): void => reject(this.signal.reason);
    if (this.signal.aborted) leave();
    this.signal.addEventListener("abort", leave, { once: true });
    this.#stream.write(toBuffer(bytes), () => {
      this.signal.removeEventListener("abort", leave);
      resolve();
    });
    return promise;
  }
}

/** The same bytes as the library wants them. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
