// The HTTP servers of the sidecar: takes a request, finds its route, lets the handler answer, counts and logs.
// The order of the steps is Dapr's (dapr-state-api.md 1.2): CORS, token, handler.
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { ApiGroup } from "../configuration/api-access.ts";
import type { Metrics } from "../metrics.ts";
import { StateError } from "../state/errors.ts";
import type { RequestSpan, TracerSource } from "../tracing/tracer.ts";
import { ClientGone } from "./body.ts";
import { endConnection } from "./client-error.ts";
import { TwoProtocolServer } from "./connections.ts";
import { answerCors } from "./cors.ts";
import { answerOf, type ErrorAnswer, shortAnswer } from "./errors.ts";
import { Exchange, type Expectation } from "./exchange.ts";
import { Http2Sessions } from "./h2.ts";
import { followLeaving } from "./leaving.ts";
import type { HttpRequest, HttpResponse } from "./message.ts";
import type { PathLabel } from "./path-label.ts";
import { endRequestSpan, startRequestSpan } from "./request-span.ts";
import type { Match, Router } from "./router.ts";
import { isTimed, ServerTiming } from "./server-timing.ts";
import type { TokenCheck } from "./token.ts";
import { shareBaggage, shareTraceContext, traceContextOf } from "./trace-context.ts";
import { Turns } from "./turns.ts";
import { mayHaveLost } from "./upgrade.ts";
import { parseTarget, unescapePart } from "./url.ts";

export type Handler = (exchange: Exchange) => void | Promise<void>;

export interface HttpServerOptions {
  readonly router: Router<Handler>;
  readonly appId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Null: no token is asked for. */
  readonly token: TokenCheck | null;
  /** Empty: CORS is off. */
  readonly allowedOrigins: readonly string[];
  /** One log line per request. */
  readonly apiLogging: boolean;
  /** But none for health, where requests are logged. */
  readonly omitsHealthChecks: boolean;
  /** What the Configuration's lists leave; null stands for what they cannot take away. */
  readonly isAllowed: (api: ApiGroup | null) => boolean;
  readonly tracing: TracerSource;
  /** Spans hold the keys of requests, as Dapr's do. */
  readonly keysInSpans: () => boolean;
  /** Answers of the routes that call stores say how long that took. */
  readonly serverTiming: () => boolean;
  /** HTTP/2 by prior knowledge, besides HTTP/1.1. */
  readonly http2: boolean;
  readonly headerBytesMax: number;
  readonly bodyBytesMax: number;
  /** From then on every answer ends its connection. */
  readonly isDraining: () => boolean;
  /** Told of each exchange's body bytes, in and out, when it has ended. */
  readonly onBody: (bytes: number) => void;
  /** The metrics label of a path: the store's name for state routes that have one, never a key. */
  readonly pathLabel: PathLabel;
}

/** A client has this long to send a request's head, in milliseconds (Dapr's ReadHeaderTimeout). */
const HEAD_TIMEOUT_MS = 10_000;
/** And this long for the whole request. */
const REQUEST_TIMEOUT_MS = 300_000;
/** Go's server reads so much more than MaxHeaderBytes before it refuses a head; clients of Dapr may rely on it. */
const HEAD_SLOP_BYTES = 4096;
/** A connection without a request is kept this long: longer than clients keep theirs, so that they close first. */
const IDLE_TIMEOUT_MS = 600_000;
/** A client that takes nothing of its answer for so long is given up. */
const STALLED_TIMEOUT_MS = 60_000;
/** Sockets without a request are looked for this often. */
const CHECK_EVERY_MS = 5_000;

const NO_ROUTE_TEXT = "failed getting app id either from the URL path or the header dapr-app-id";

/** A server that is not yet listening. */
export function createHttpServer(options: HttpServerOptions): Server {
  const http1 = {
    maxHeaderSize: options.headerBytesMax + HEAD_SLOP_BYTES,
    headersTimeout: HEAD_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_EVERY_MS,
    noDelay: true,
    // Refused by ourselves, with a body that says so.
    requireHostHeader: false,
  };
  const server = options.http2 ? withHttp2(options, http1) : createServer(http1);
  // A client may end its side with its last request, as Go's server and RFC 9112 (9.6) allow.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on("connection", (socket: Socket) => followLeaving(socket, options.clock));
  const turns = new Turns();
  const serveAs = (expects: Expectation) => (request: IncomingMessage, response: ServerResponse) => {
    if (mayHaveLost(request, !turns.knows(request.socket))) response.shouldKeepAlive = false;
    turns.take(request, response, () => void serve(options, request, response, expects));
  };
  server.on("request", serveAs("nothing"));
  server.on("checkContinue", serveAs("continue"));
  server.on("checkExpectation", serveAs("unknown"));
  // What follows a request may be nonsense; the request itself still gets its answer.
  server.on("clientError", (error: Error, socket: Socket) => {
    turns.finish(socket, (isOwed) => endConnection(error, socket, isOwed));
  });
  // Nothing has moved for a while: that is the client's doing unless its answer is still being made.
  server.setTimeout(STALLED_TIMEOUT_MS, (socket) => {
    if (socket.writableLength > 0 || !turns.isBusy(socket)) socket.destroy();
  });
  return server;
}

function withHttp2(options: HttpServerOptions, http1: ServerOptions): Server {
  const { clock, headerBytesMax } = options;
  const http2 = new Http2Sessions({
    clock,
    headerBytesMax: headerBytesMax + HEAD_SLOP_BYTES,
    firstRequestTimeoutMs: HEAD_TIMEOUT_MS,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    stalledTimeoutMs: STALLED_TIMEOUT_MS,
    serve: (request, response) => void serve(options, request, response, expectation(request.headers.expect)),
  });
  return new TwoProtocolServer({ http1, http2, clock, firstBytesTimeoutMs: HEAD_TIMEOUT_MS });
}

/** For HTTP/1.1 the parser tells. */
function expectation(expect: string | undefined): Expectation {
  if (expect === undefined) return "nothing";
  return expect.toLowerCase() === "100-continue" ? "continue" : "unknown";
}

async function serve(
  options: HttpServerOptions,
  request: HttpRequest,
  response: HttpResponse,
  expects: Expectation,
): Promise<void> {
  const startMs = options.clock.monotonicMs();
  const target = parseTarget(request.url ?? "/");
  const exchange = new Exchange(request, response, target.query, expects);
  const match = findRoute(options, request.method ?? "", target.parts);
  const span = trace(options, exchange, match);
  if (match !== null && isTimed(match.route.api) && options.serverTiming()) {
    exchange.timing = new ServerTiming(options.clock, startMs);
  }
  try {
    await answer(options, exchange, match);
  } catch (error) {
    answerError(options, exchange, error);
  }
  const status = exchange.status === 0 ? CLIENT_LEFT : exchange.status;
  if (span !== null) endRequestSpan(span, status);
  observe(options, exchange, match, { status, latencyMs: options.clock.monotonicMs() - startMs });
}

/** Begins the request's span, where there is a tracer, and answers with its context or else with the client's. */
function trace(options: HttpServerOptions, exchange: Exchange, match: Match<Handler> | null): RequestSpan | null {
  const { request } = exchange;
  const { tracer } = options.tracing;
  const parent = traceContextOf(request);
  if (isHealth(match)) return null;
  const withKeys = options.keysInSpans();
  const span = tracer === null ? null : startRequestSpan(tracer, { request, match, parent, withKeys });
  const context = span?.context ?? parent;
  if (context !== null) shareTraceContext(exchange, context);
  return span;
}

/** Probes are no part of a trace, as with Dapr. */
function isHealth(match: Match<Handler> | null): boolean {
  return match !== null && match.route.api === null;
}

/** A route that the Configuration has taken away is none (dapr-state-api.md 3.3). */
function findRoute(
  { router, isAllowed }: HttpServerOptions,
  method: string,
  parts: readonly string[],
): Match<Handler> | null {
  const match = router.match(method, parts);
  return match === null || isAllowed(match.route.api) ? match : null;
}

function answer(options: HttpServerOptions, exchange: Exchange, match: Match<Handler> | null): void | Promise<void> {
  const fault = faultOf(exchange);
  if (options.isDraining() || fault !== null) exchange.share("Connection", "close");
  if (fault !== null) return sendError(options, exchange, fault);
  if (hasUnknownEncoding(exchange.request)) return exchange.sendText(501, "Unsupported transfer encoding\n");
  const baggageFault = isHealth(match) ? null : shareBaggage(exchange);
  if (baggageFault !== null) return exchange.sendText(400, `header baggage: ${baggageFault}\n`);
  if (answerCors(exchange, options.allowedOrigins)) return;
  if (options.token !== null && !options.token(exchange.request, match?.route.pattern ?? "")) {
    return exchange.sendText(401, "invalid api token\n");
  }
  // Dapr takes it as a call of another app, which cannot name its target (dapr-state-api.md 1.2).
  if (match === null) return sendError(options, exchange, shortAnswer(404, "ERR_DIRECT_INVOKE", NO_ROUTE_TEXT));
  const broken = unescapeParameters(exchange, match);
  if (broken !== null) {
    return exchange.sendText(
      400,
      `failed to unescape request parameter "${broken}". Error: want %XX escapes of valid UTF-8\n`,
    );
  }
  return match.route.handler(exchange);
}

/** What HTTP/1.1 itself asks of a head and Node's parser lets pass; null when there is nothing to say. */
function faultOf({ request, expects }: Exchange): ErrorAnswer | null {
  const { host, expect } = request.headers;
  if (host === undefined && request.httpVersion === "1.1") {
    return shortAnswer(400, "ERR_MALFORMED_REQUEST", "missing required Host header");
  }
  if (expects !== "unknown") return null;
  return shortAnswer(417, "ERR_MALFORMED_REQUEST", `header Expect: got "${expect}", want "100-continue" or none`);
}

/** The parser undoes chunks and nothing else; a body that is packed besides must not be stored as it is. */
function hasUnknownEncoding(request: HttpRequest): boolean {
  const encoding = request.headers["transfer-encoding"];
  return encoding !== undefined && encoding.toLowerCase() !== "chunked";
}

/** Gives the name of the parameter that cannot be unescaped, or null. */
function unescapeParameters(exchange: Exchange, match: Match<Handler>): string | null {
  if (match.parameters.length === 0) return null;
  const parameters: string[] = [];
  for (const part of match.parameters) {
    const text = unescapePart(part);
    if (text === null) return parameterName(match.route.pattern, parameters.length);
    parameters.push(text);
  }
  exchange.parameters = parameters;
  return null;
}

function parameterName(pattern: string, index: number): string {
  const names = pattern.split("/").filter((part) => part.startsWith("{"));
  return (names[index] ?? "").slice(1, -1);
}

function sendError({ metrics }: HttpServerOptions, exchange: Exchange, { status, body, code }: ErrorAnswer): void {
  metrics.errorCode(code);
  exchange.sendJson(status, body);
}

function answerError(options: HttpServerOptions, exchange: Exchange, error: unknown): void {
  if (error instanceof ClientGone || exchange.response.destroyed) return;
  if (!(error instanceof StateError)) {
    options.log.error("request failed by a fault of the sidecar", { error: stackOf(error) });
  }
  if (exchange.response.headersSent) {
    exchange.response.destroy();
    return;
  }
  const internal = shortAnswer(500, "ERR_INTERNAL", "the sidecar failed on this request; its log says how");
  sendError(options, exchange, error instanceof StateError ? answerOf(error, options.appId) : internal);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** What a request counts as whose client left before there was an answer; nothing of it goes over the wire. */
const CLIENT_LEFT = 499;

interface Outcome {
  readonly status: number;
  readonly latencyMs: number;
}

function observe(
  options: HttpServerOptions,
  exchange: Exchange,
  match: Match<Handler> | null,
  { status, latencyMs }: Outcome,
): void {
  const { request, receivedBytes, sentBytes } = exchange;
  options.onBody(receivedBytes + sentBytes);
  options.metrics.http({
    method: request.method ?? "",
    path: options.pathLabel(match, exchange.parameters, request.url ?? ""),
    status,
    latencyMs,
    requestBytes: receivedBytes,
    responseBytes: sentBytes,
  });
  if (!options.apiLogging || (options.omitsHealthChecks && match?.route.api === null)) return;
  options.log.info("HTTP API Called", {
    method: `${request.method} ${match?.route.pattern ?? "(no route)"}`,
    code: exchange.status,
    duration: Math.trunc(latencyMs),
    size: sentBytes,
    useragent: (request.headers["user-agent"] ?? "").slice(0, 200),
  });
}
