// The distribution API's routes: who asks, for what, and what is refused. Knows no TLS and no resource.
import type { Socket } from "node:net";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import { LINE_BYTES_MAX, parseReport, REPORT_PATH, REPORTED_MAX, RESOURCES_PATH } from "#crds/distribution.ts";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { RateLimit } from "../kube/rate-limit.ts";
import type { OperatorMetrics } from "../metrics.ts";
import type { Authorizer, Bearer, OperatorAccount } from "./authorize.ts";
import { Bodies } from "./bodies.ts";
import { PEERS_MAX, type PeerIntake } from "./peer-intake.ts";
import { MESSAGE_BYTES_MAX, PEER_PATH, parsePeerMessage } from "./peer-message.ts";
import type { Publisher } from "./publish.ts";
import { isRefusal, type Refusal, Refused, refuse } from "./refusal.ts";
import type { Sidecar } from "./sidecar.ts";
import type { SidecarReports } from "./sidecar-reports.ts";
import type { Streams } from "./streams.ts";

export interface RouteParts {
  readonly authorizer: Authorizer;
  readonly streams: Streams;
  readonly publisher: Publisher;
  readonly reports: SidecarReports;
  readonly intake: PeerIntake;
  readonly account: OperatorAccount;
  /** Everything that sidecars may have was listed. */
  readonly isSynced: () => boolean;
  readonly isLeader: () => boolean;
  readonly isDraining: () => boolean;
  /** Told the connection of a stream that begins. */
  readonly onStream: (socket: Socket) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: OperatorMetrics;
}

/** Reports that are read at once, and that wait for it; the same of the other replicas' messages. */
const REPORTS = { most: 16, waitingMax: 10_000, bytesMax: LINE_BYTES_MAX };
const MESSAGES = { most: 2, waitingMax: PEERS_MAX, bytesMax: MESSAGE_BYTES_MAX };
/** Reports of one pod: so many at once, then one each so many milliseconds. A sidecar has one in 500 ms at most. */
export const REPORT_RATE = { atOnce: 20, everyMs: 500 };
/** The same of lines about what is refused to one address. */
export const REFUSAL_LOG_RATE = { atOnce: 10, everyMs: 10_000 };
/** What a sidecar is told to wait, in seconds: while this replica starts, ends, has too much to read, is not the right one. */
const STARTING_SEC = 2;
const DRAINING_SEC = 1;
const OFTEN_SEC = 5;
const MISDIRECTED_SEC = 1;
/** So much of a path that is none of ours is told, in characters. */
const PATH_SHOWN = 100;

export function createRoutes(parts: RouteParts): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag").enable("strict routing").enable("case sensitive routing");
  const { clock } = parts;
  const [ofPods, ofReplicas] = [new Bodies({ ...REPORTS, clock }), new Bodies({ ...MESSAGES, clock })];
  const [rate, logged] = [new RateLimit({ ...REPORT_RATE, clock }), new RateLimit({ ...REFUSAL_LOG_RATE, clock })];

  app.all(RESOURCES_PATH, only("GET"), (request: Request, response: Response) => openStream(parts, request, response));
  app.all(
    REPORT_PATH,
    only("POST"),
    authorizeReport(parts, rate),
    (request: Request, response: Response<unknown, ReportLocals>, next: NextFunction) =>
      ofPods.take(response.locals.sidecar.podUid, request, response, next),
    (request: Request, response: Response<unknown, ReportLocals>) => takeReport(parts, request, response),
  );
  app.all(
    PEER_PATH,
    only("POST"),
    authorizePeer(parts),
    (request: Request, response: Response<unknown, PeerLocals>, next: NextFunction) =>
      ofReplicas.take(response.locals.replica, request, response, next),
    (request: Request, response: Response<unknown, PeerLocals>) => takePeerMessage(parts, request, response),
  );
  app.use((request: Request) => {
    throw refused(404, `nothing is at ${request.path.slice(0, PATH_SHOWN)}`);
  });
  // Express tells an error handler by its four parameters.
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    answerError({ log: parts.log, logged }, error, request, response);
  });
  return app;
}

/** What the steps before the body hand on to those after it. */
interface ReportLocals {
  sidecar: Sidecar;
}
interface PeerLocals {
  replica: string;
}

async function openStream(parts: RouteParts, request: Request, response: Response): Promise<void> {
  const { authorizer, streams, metrics } = parts;
  mayBeginNow(parts);
  const answer = await authorizer.sidecar(bearerOf(request));
  if (!isRefusal(answer)) metrics.authorized("allowed");
  else metrics.authorized(answer.status === 503 ? "failed" : "refused");
  const { sidecar } = granted(answer);
  if (response.destroyed) return;
  // The replica may have begun to leave while the API server was asked.
  mayBeginNow(parts);
  const refusal = streams.add(sidecar, response);
  if (refusal !== null) throw new Refused(refusal);
  parts.onStream(request.socket);
}

function mayBeginNow({ isDraining, isSynced }: RouteParts): void {
  if (isDraining()) throw refused(503, "this replica of the operator is leaving; come back to another", DRAINING_SEC);
  if (isSynced()) return;
  throw refused(503, "this replica of the operator starts and has not listed everything yet", STARTING_SEC);
}

/** A report is taken where the sidecar's stream is: it counts for as long as that is open. */
function authorizeReport({ authorizer, streams }: RouteParts, rate: RateLimit) {
  return async (request: Request, response: Response<unknown, ReportLocals>, next: NextFunction): Promise<void> => {
    const { pod } = granted(await authorizer.owner(bearerOf(request)));
    const sidecar = streams.sidecarOf(pod.uid);
    const text = "this replica of the operator has no stream of the pod; report over a new connection";
    if (sidecar === null) throw refused(421, text, MISDIRECTED_SEC);
    if (!rate.take(pod.uid)) throw refused(429, "the pod reports too often", OFTEN_SEC);
    response.locals.sidecar = sidecar;
    next();
  };
}

function takeReport(
  { publisher, reports }: RouteParts,
  request: Request,
  response: Response<unknown, ReportLocals>,
): void {
  const report = parseReport(request.body);
  if (report === null) throw refused(400, `want a report as JSON, with ${REPORTED_MAX} Components at most`);
  const { sidecar } = response.locals;
  const given = publisher.components(sidecar);
  // A name twice: the later one counts.
  const byName = new Map(report.components.filter(({ name }) => given.has(name)).map((each) => [each.name, each]));
  reports.put(sidecar, [...byName.values()]);
  response.status(204).end();
}

function authorizePeer({ authorizer, account, isLeader }: RouteParts) {
  return async (request: Request, response: Response<unknown, PeerLocals>, next: NextFunction): Promise<void> => {
    const { replica } = granted(await authorizer.replica(bearerOf(request), account));
    if (!isLeader()) throw refused(421, "this replica does not lead", MISDIRECTED_SEC);
    response.locals.replica = replica;
    next();
  };
}

function takePeerMessage(
  { intake, isLeader }: RouteParts,
  request: Request,
  response: Response<unknown, PeerLocals>,
): void {
  const message = parsePeerMessage(request.body);
  if (message === null) throw refused(400, "want a message of reports as JSON");
  if (!isLeader()) throw refused(421, "this replica leads no more", MISDIRECTED_SEC);
  if (!intake.take(response.locals.replica, message)) throw refused(409, "tell everything first");
  response.status(204).end();
}

/** Express answers HEAD with what it has for GET; a stream must not begin by it. */
function only(method: "GET" | "POST") {
  return (request: Request, response: Response, next: NextFunction): void => {
    if (request.method !== method) {
      response.setHeader("Allow", method);
      throw refused(405, `want ${method}`);
    }
    next();
  };
}

function bearerOf(request: Request): Bearer {
  const [scheme = "", token = null] = (request.headers.authorization ?? "").split(" ", 2);
  const address = request.socket.remoteAddress ?? "";
  return { token: scheme.toLowerCase() === "bearer" ? token : null, address };
}

/** `logged`: how often what one address is refused is told. */
interface Told {
  readonly log: Log;
  readonly logged: RateLimit;
}

function answerError({ log, logged }: Told, error: unknown, request: Request, response: Response): void {
  const refusal = refusalOf(error);
  // The client left in the middle of its request.
  if (refusal === null || response.headersSent || response.destroyed) return;
  const { status, sentence, retryAfterSec } = refusal;
  if (status === 500)
    log.error("a request failed by a fault of the operator", { path: request.path, error: stackOf(error) });
  const address = request.socket.remoteAddress ?? "";
  // What is turned away for its number must not fill the log, nor what finds its replica at the next try, nor what anybody
  // may send as often as he likes.
  if (status !== 500 && status !== 429 && status !== 421 && logged.take(address)) {
    log.info("a request is refused", { path: request.path.slice(0, PATH_SHOWN), address, status, error: sentence });
  }
  // The rest of the body may be on its way, or another replica is wanted.
  response.setHeader("Connection", "close");
  if (retryAfterSec !== null) response.setHeader("Retry-After", retryAfterSec);
  response.status(status).type("text/plain").send(`${sentence}\n`);
}

/** Errors of the body reader carry a `type`; everything unknown is a fault of ours. Null: there is nobody to tell. */
function refusalOf(error: unknown): Refusal | null {
  if (error instanceof Refused) return error.refusal;
  const type = error instanceof Error && "type" in error ? error.type : "";
  if (type === "request.aborted") return null;
  if (type === "entity.too.large") return refuse(413, "the body is larger than is read");
  if (type === "encoding.unsupported") return refuse(415, "want a body without Content-Encoding");
  if (type === "charset.unsupported") return refuse(415, "want a body in UTF-8");
  if (type === "request.size.invalid") return refuse(400, "the body is not as long as its head says");
  return refuse(500, "the operator failed on this request; its log says how");
}

function refused(...refusal: Parameters<typeof refuse>): Refused {
  return new Refused(refuse(...refusal));
}

function granted<T extends object>(answer: T | Refusal): T {
  if (isRefusal(answer)) throw new Refused(answer);
  return answer;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
