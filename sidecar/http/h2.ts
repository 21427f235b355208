// HTTP/2 without TLS: sessions over sockets that connections.ts hands over, and each of their streams as a request and
// an answer for the same handlers as HTTP/1.1. Knows no route.
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "#kit/clock.ts";
import { announcedBytes } from "./body.ts";
import type { HttpRequest, HttpResponse } from "./message.ts";
import { type SessionTurns, type StreamTurn, StreamTurns } from "./stream-turns.ts";

export interface SessionsOptions {
  readonly clock: Clock;
  /** Most bytes of a request's header fields, by HTTP/2's count: 32 more for each. */
  readonly headerBytesMax: number;
  /** A session that has not had a request is closed after this, in milliseconds. */
  readonly firstRequestTimeoutMs: number;
  /** And one without a request under way after this. */
  readonly idleTimeoutMs: number;
  /** A client has this long for a whole request. */
  readonly requestTimeoutMs: number;
  /** A client that sends nothing of its request, or takes nothing of its answer, is given up after this. */
  readonly stalledTimeoutMs: number;
  readonly serve: (request: HttpRequest, response: HttpResponse) => void;
}

/** Requests of one session under way or waiting; further ones are refused, and clients send them again. */
const STREAMS_MAX = 100;
/** Streams that a client may reset: so many at once, and then so many a second (the rapid reset attack). */
const RESETS = { streamResetBurst: 200, streamResetRate: 33 };
/** Frames that are none, and streams beyond the limit, after which a session is ended. */
const INVALID_FRAMES_MAX = 100;
const REJECTED_STREAMS_MAX = 1000;
/** Entries of one SETTINGS frame, and header fields of one request. */
const SETTINGS_MAX = 32;
const HEADER_PAIRS_MAX = 128;
/** Memory of one session without the bodies that handlers hold, in MB. */
const SESSION_MEMORY_MB_MAX = 10;

export class Http2Sessions {
  readonly #options: SessionsOptions;
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #turns = new StreamTurns();

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#server = createServer({
      ...RESETS,
      maxSettings: SETTINGS_MAX,
      maxHeaderListPairs: HEADER_PAIRS_MAX,
      maxSessionMemory: SESSION_MEMORY_MB_MAX,
      maxSessionInvalidFrames: INVALID_FRAMES_MAX,
      maxSessionRejectedStreams: REJECTED_STREAMS_MAX,
      settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: options.headerBytesMax, enablePush: false },
    });
    this.#server.on("session", (session) => this.#follow(session));
  }

  /** Takes over a connection that begins with HTTP/2's preface, nothing of which has been taken from the socket. */
  take(socket: Socket): void {
    this.#server.emit("connection", socket);
  }

  /** Tells all clients to send no more (GOAWAY); a session ends with its last answer. May be called again. */
  closeIdle(): void {
    for (const session of this.#sessions) session.close();
  }

  closeAll(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #follow(session: ServerHttp2Session): void {
    const { firstRequestTimeoutMs, idleTimeoutMs } = this.#options;
    const turns = this.#turns.session();
    let underWay = 0;
    this.#sessions.add(session);
    session.on("close", () => this.#sessions.delete(session));
    session.on("stream", (stream, headers, flags, rawHeaders) => {
      if (isTooLarge(rawHeaders, this.#options.headerBytesMax)) {
        stream.on("error", () => undefined);
        stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
        return;
      }
      if (underWay === 0) session.setTimeout(0);
      underWay++;
      stream.once("close", () => {
        underWay--;
        if (underWay === 0 && !session.destroyed) session.setTimeout(idleTimeoutMs);
      });
      this.#take(turns, stream, new StreamRequest(stream, headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0));
    });
    session.on("timeout", () => session.close());
    session.setTimeout(firstRequestTimeoutMs);
  }

  /** A request that waits is not read, nor is any of its times running. */
  #take(turns: SessionTurns, stream: ServerHttp2Stream, request: StreamRequest): void {
    // Told to the handler by "close"; without a listener it would end the process.
    stream.on("error", () => undefined);
    const turn = turns.take(announcedBytes(request), (begun) => {
      // With its session it is over before it is told so.
      if (stream.destroyed || stream.closed) begun.end();
      else this.#serve(stream, request, begun);
    });
    stream.once("close", () => turn.end());
  }

  #serve(stream: ServerHttp2Stream, request: StreamRequest, turn: StreamTurn): void {
    const { clock, requestTimeoutMs, stalledTimeoutMs, serve } = this.#options;
    const giveUp = (): void => stream.close(constants.NGHTTP2_CANCEL);
    stream.setTimeout(stalledTimeoutMs, () => {
      if (!request.complete || stream.writableLength > 0) giveUp();
    });
    if (!request.complete) {
      const timer = clock.after(requestTimeoutMs, () => {
        if (!request.complete) giveUp();
      });
      stream.once("close", () => timer.cancel());
      // Nobody takes more of a request that has its answer: without an end the stream would count for ever.
      stream.once("finish", () => {
        if (!request.complete) stream.close(constants.NGHTTP2_NO_ERROR);
      });
    }
    serve(request, new StreamResponse(stream, turn));
  }
}

/** What HTTP/2 counts for each field besides its name and value. */
const FIELD_OVERHEAD_BYTES = 32;

/** Node holds a session to its limit only once the client has confirmed it; until then more can come. */
function isTooLarge(rawHeaders: readonly string[], bytesMax: number): boolean {
  let bytes = (rawHeaders.length / 2) * FIELD_OVERHEAD_BYTES;
  for (const text of rawHeaders) bytes += text.length;
  return bytes > bytesMax;
}

class StreamRequest implements HttpRequest {
  readonly httpVersion = "2.0";
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly #stream: ServerHttp2Stream;
  readonly #bodyless: boolean;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, bodyless: boolean) {
    this.method = headers[":method"];
    this.url = headers[":path"];
    this.headers = headers;
    this.#stream = stream;
    this.#bodyless = bodyless;
  }

  /** A stream that the client resets ends like any other: only the two marks of a reset tell. */
  get complete(): boolean {
    const { readableEnded, aborted, rstCode } = this.#stream;
    return this.#bodyless || (readableEnded && !aborted && rstCode === constants.NGHTTP2_NO_ERROR);
  }

  // One signature for all: which listener fits which event is the interface's to say.
  on(event: string, listener: (argument: Buffer & Error) => void): void {
    this.#stream.on(event, listener);
  }

  off(event: string, listener: (argument: Buffer & Error) => void): void {
    this.#stream.off(event, listener);
  }

  resume(): void {
    this.#stream.resume();
  }
}

class StreamResponse implements HttpResponse {
  readonly #stream: ServerHttp2Stream;
  readonly #turn: StreamTurn;
  /** The stream's own ends by itself when the client resets it. */
  writableEnded = false;

  constructor(stream: ServerHttp2Stream, turn: StreamTurn) {
    this.#stream = stream;
    this.#turn = turn;
  }

  get headersSent(): boolean {
    return this.#stream.headersSent;
  }

  get writableNeedDrain(): boolean {
    return this.#stream.writableNeedDrain;
  }

  get destroyed(): boolean {
    const { destroyed, aborted, closed } = this.#stream;
    return destroyed || aborted || closed;
  }

  writeContinue(): void {
    if (!this.destroyed) this.#stream.additionalHeaders({ ":status": constants.HTTP_STATUS_CONTINUE });
  }

  writeHead(status: number, headers: string[]): void {
    if (this.destroyed) return;
    const fields = toFields(status, headers);
    this.#stream.respond(fields);
    this.#turn.answer(Number(fields["content-length"] ?? 0));
  }

  flushHeaders(): void {
    // Nothing waits: the head goes out as soon as this turn is over.
  }

  write(chunk: string | Uint8Array): boolean {
    // A head without a body (204, or the answer to HEAD) has ended the stream by itself.
    return this.#stream.writableEnded || this.#stream.write(chunk);
  }

  end(chunk?: string | Uint8Array): void {
    this.writableEnded = true;
    if (!this.#stream.writableEnded) this.#stream.end(chunk);
  }

  cork(): void {
    this.#stream.cork();
  }

  uncork(): void {
    this.#stream.uncork();
  }

  destroy(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  on(event: "drain" | "close", listener: () => void): void {
    this.#stream.on(event, listener);
  }

  once(event: "close", listener: () => void): void {
    this.#stream.once(event, listener);
  }

  off(event: "drain" | "close", listener: () => void): void {
    this.#stream.off(event, listener);
  }
}

/** Field names are lower case in HTTP/2, and what is about the connection has frames of its own. */
function toFields(status: number, headers: readonly string[]): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = { ":status": status };
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? "").toLowerCase();
    if (name !== "connection") fields[name] = headers[i + 1];
  }
  return fields;
}
