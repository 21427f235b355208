// The webhook as the API server calls it: HTTPS, POST /mutate. Turns what is no review away with a sentence, and keeps
// answering for a while when it is told to end. Knows no pod rules.
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from "express";
import { type Clock, never, sleep } from "#kit/clock.ts";
import { ConnectionShare } from "#kit/connection-share.ts";
import { followConnections } from "#kit/connections.ts";
import type { Log } from "#kit/log.ts";
import { type CertificateSource, followCertificate } from "../certificates/source.ts";
import type { OperatorMetrics } from "../metrics.ts";
import { type Admit, readReview, review } from "./review.ts";
import { Room } from "./room.ts";

export const MUTATE_PATH = "/mutate";
/** Largest review, in bytes: the API server takes requests of 3 MiB. */
export const BODY_BYTES_MAX: number = 3 * 1024 * 1024;
/** Reviews that are read and decided at a time, of one address, and that wait for that. Anybody in the cluster may send. */
export const REVIEWS_MAX = 32;
export const REVIEWS_EACH_MAX = 16;
export const REVIEWS_WAITING_MAX = 512;
/** How long one waits, in milliseconds: the API server gives up after 5 s. */
const WAIT_MS = 3_000;
/** From its place to its answer, in milliseconds: a body that does not come keeps nobody else out. */
export const PLACE_MS = 2_000;
/** Beyond it the address with the most loses one. */
export const CONNECTIONS_MAX = 1_000;
const HEAD_BYTES_MAX = 16 * 1024;
/** The API server keeps idle connections for 90 s, also such on which it never asked anything. */
const IDLE_MS = 120_000;
const HEAD_WITHIN_MS: number = IDLE_MS + 5_000;
const REQUEST_WITHIN_MS: number = HEAD_WITHIN_MS + 5_000;
const HANDSHAKE_WITHIN_MS = 10_000;
/** After the time of draining, for answers under way, in milliseconds. */
const LAST_ANSWERS_MS = 2_000;
const RETRY_AFTER_SEC = 1;

export interface WebhookOptions {
  readonly source: CertificateSource;
  readonly admit: Admit;
  /** 0: any free one. */
  readonly port: number;
  /** All interfaces when not given. */
  readonly host?: string;
  /** How long it goes on answering once it is to end, in milliseconds: until all API servers know of it. */
  readonly drainMs: number;
  readonly metrics: Pick<OperatorMetrics, "admitted">;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Webhook {
  readonly port: number;
  /** False from the begin of {@link drain} on. */
  readonly ready: boolean;
  /** Goes on answering for `drainMs`, each answer ending its connection, then ends. Resolves when all is closed. */
  drain(): Promise<void>;
}

/** Resolves when it listens. Rejects with what the system says about the port. */
export async function startWebhook(options: WebhookOptions): Promise<Webhook> {
  const state = { ready: true };
  const server = createServer(
    {
      maxHeaderSize: HEAD_BYTES_MAX,
      keepAliveTimeout: IDLE_MS,
      headersTimeout: HEAD_WITHIN_MS,
      requestTimeout: REQUEST_WITHIN_MS,
      handshakeTimeout: HANDSHAKE_WITHIN_MS,
    },
    createApp(options, state),
  );
  new ConnectionShare(server, CONNECTIONS_MAX);
  const unfollow = followCertificate(server, options.source);
  const cut = followConnections(server);
  server.on("tlsClientError", (error) => options.log.debug("webhook: TLS", { error: error.message }));
  await listen(server, options);
  let draining: Promise<void> | null = null;
  return {
    port: (server.address() as AddressInfo).port,
    get ready() {
      return state.ready;
    },
    drain: () => {
      state.ready = false;
      draining ??= close(server, cut, options).finally(unfollow);
      return draining;
    },
  };
}

function listen(server: Server, { port, host }: WebhookOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** The API server goes on using the connections that it has, so it is let go by each answer's `Connection: close`. */
async function close(server: Server, cut: () => void, { clock, drainMs }: WebhookOptions): Promise<void> {
  await sleep(clock, drainMs, never);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const late = clock.after(LAST_ANSWERS_MS, cut);
  await closed;
  late.cancel();
}

function createApp(options: WebhookOptions, state: { readonly ready: boolean }): Express {
  const room = new Room({
    places: REVIEWS_MAX,
    placesEach: REVIEWS_EACH_MAX,
    waitingMax: REVIEWS_WAITING_MAX,
    waitMs: WAIT_MS,
    clock: options.clock,
  });
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use((_request, response, next) => {
    if (!state.ready) response.set("Connection", "close");
    next();
  });
  app
    .route(MUTATE_PATH)
    .post(
      onlyJson,
      takePlace(room, options.clock),
      express.raw({ type: () => true, limit: BODY_BYTES_MAX, inflate: false }),
    )
    .post((request: Request, response: Response) => mutate(options, request, response))
    .all((_request, response) => {
      refuse(response.set("Allow", "POST"), 405, "want POST");
    });
  app.use((_request, response) => refuse(response, 404, `nothing is here: want POST ${MUTATE_PATH}`));
  app.use(toRefusal(options.log));
  return app;
}

function onlyJson(request: Request, response: Response, next: () => void): void {
  const [type = ""] = (request.headers["content-type"] ?? "").split(";");
  if (type.trim().toLowerCase() === "application/json") next();
  else refuse(response, 415, `Content-Type: got ${JSON.stringify(type.slice(0, 80))}, want "application/json"`);
}

function takePlace(
  room: Room,
  clock: Clock,
): (request: Request, response: Response, next: () => void) => Promise<void> {
  return async (request, response, next) => {
    const { remoteAddress: sender = "" } = request.socket;
    if (!(await room.enter(sender))) {
      refuse(response.set("Retry-After", String(RETRY_AFTER_SEC)), 503, "too many reviews at once, try again");
      return;
    }
    // One that has gone while it waited gives its place back at once.
    if (response.closed) {
      room.leave(sender);
      return;
    }
    const late = clock.after(PLACE_MS, () => request.destroy());
    response.once("close", () => {
      late.cancel();
      room.leave(sender);
    });
    next();
  };
}

function mutate({ admit, metrics, clock, log }: WebhookOptions, { body }: Request, response: Response): void {
  const beganMs = clock.monotonicMs();
  const request = readReview(Buffer.isBuffer(body) ? body : Buffer.alloc(0));
  if (typeof request === "string") {
    metrics.admitted("failed", "bad-review", clock.monotonicMs() - beganMs);
    refuse(response, 400, request);
    return;
  }
  const { answer, outcome, reason, thrown } = review(request, admit);
  const { uid, namespace, name } = request;
  if (thrown !== null) {
    const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    log.error("webhook: the injector failed", { uid, namespace, name, error });
  }
  log.debug("webhook: reviewed", { uid, namespace, name, outcome, reason });
  response.json(answer);
  metrics.admitted(outcome, reason, clock.monotonicMs() - beganMs);
}

/** What reading the body came to, in statuses: Express knows them, its words are not for our users. */
function toRefusal(log: Log): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = error instanceof Error && "status" in error ? Number(error.status) : 500;
    if (status === 413) refuse(response, 413, `the body is too large: want at most ${BODY_BYTES_MAX} bytes`);
    else if (status === 415) refuse(response, 415, "Content-Encoding: want none");
    else if (status >= 400 && status < 500) refuse(response, 400, "the body did not come whole");
    else {
      log.error("webhook: a request failed", { error: String(error) });
      refuse(response, 500, "a fault of Pannier's own; its log says more");
    }
  };
}

function refuse(response: Response, status: number, sentence: string): void {
  response.status(status).type("text/plain").send(`${sentence}\n`);
}
