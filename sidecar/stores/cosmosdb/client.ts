// Requests to one container of Cosmos DB over its REST API: headers, sign-in, session, and sending again what the server
// wants to have later. Knows no layout.
import { type Clock, sleep } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { VERSION } from "#kit/version.ts";
import type { Call } from "../store.ts";
import {
  type Again,
  CosmosError,
  closedError,
  leftError,
  noTokenError,
  type Refusal,
  refusalError,
  timeoutError,
} from "./failures.ts";
import type { HttpAnswer, Link } from "./link.ts";
import type { Login, Signed } from "./login.ts";
import type { SessionTokens } from "./session.ts";

/** What a request is about. */
export type Target =
  | { readonly kind: "container" }
  /** All documents: creating, querying, batches. */
  | { readonly kind: "documents" }
  | { readonly kind: "document"; readonly id: string };

export interface CosmosRequest {
  readonly method: Signed["method"];
  readonly target: Target;
  /** Null where the request is about no partition in particular. */
  readonly partition: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text; null for none. */
  readonly body: string | null;
  readonly isWrite: boolean;
  /** Throws for an answer that is no result after all; null where the status says enough. */
  readonly check: ((answer: HttpAnswer) => void) | null;
}

export interface ClientOptions {
  readonly link: Link;
  readonly login: Login;
  readonly session: SessionTokens;
  readonly database: string;
  readonly collection: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Longest that one call takes, waiting and sending again included: as long as Dapr's driver waits. */
const CALL_MS = 20_000;
/** By what has to change before the next one. */
const ATTEMPTS_MAX: Readonly<Record<Again["reason"], number>> = {
  load: 10,
  session: 10,
  trouble: 4,
  connection: 2,
  "sign-in": 2,
};
/** Where the server does not say how long to wait: 50 ms, and twice as long each time. */
const PAUSE_FIRST_MS = 50;
const PAUSE_LONGEST_MS = 2_000;
const API_VERSION = "2020-07-15";

/** Statuses that are results of operations, and no failures; 404 is one only for a document. */
const RESULTS: ReadonlySet<number> = new Set([200, 201, 204, 207, 409, 412]);

export class CosmosClient {
  readonly #options: ClientOptions;
  readonly #containerLink: string;
  readonly #containerPath: string;
  readonly #ended = new AbortController();
  /** Ends what waits for a sign-in. */
  readonly #signingIn = new Set<() => void>();

  constructor(options: ClientOptions) {
    this.#options = options;
    const { database, collection } = options;
    this.#containerLink = `dbs/${database}/colls/${collection}`;
    this.#containerPath = `/dbs/${encodeURIComponent(database)}/colls/${encodeURIComponent(collection)}`;
  }

  get server(): string {
    return this.#options.link.server;
  }

  /**
   * Gives the answer, whose status is 200, 201, 204, 207, 404, 409 or 412. Rejects with a CosmosError for all others, and
   * for a 404 that is not about the document. What may have been applied is never sent twice.
   */
  async send(request: CosmosRequest, call: Call): Promise<HttpAnswer> {
    const { clock } = this.#options;
    const end = clock.monotonicMs() + CALL_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(request, call, end);
      } catch (error) {
        if (!(error instanceof CosmosError) || error.again === null) throw error;
        const { reason, afterMs } = error.again;
        const pauseMs = afterMs ?? Math.min(PAUSE_FIRST_MS * 2 ** (attempt - 1), PAUSE_LONGEST_MS);
        if (attempt >= ATTEMPTS_MAX[reason] || clock.monotonicMs() + pauseMs >= end)
          throw this.#givenUp(error, error.again, attempt);
        await this.#pause(pauseMs, call);
      }
    }
  }

  /** Calls under way reject. May be called again. */
  close(): void {
    this.#ended.abort();
    for (const end of [...this.#signingIn]) end();
    this.#options.link.close();
  }

  /** `end` is when the call is over, by the clock's monotonic time. */
  async #attempt(request: CosmosRequest, call: Call, end: number): Promise<HttpAnswer> {
    const { link, login, session, clock } = this.#options;
    if (this.#ended.signal.aborted) throw closedError();
    if (call.signal.aborted) throw leftError();
    const { method, target, body, isWrite } = request;
    const date = new Date(clock.nowMs()).toUTCString();
    const given = login.authorization({ method, ...this.#resource(target), date });
    const authorization = typeof given === "string" ? given : await this.#signedIn(given, call, end);
    const leftMs = end - clock.monotonicMs();
    if (leftMs <= 0) throw timeoutError(link.server, false);
    const headers = { ...this.#headers(request), authorization, "x-ms-date": date };
    const path = this.#path(target);
    const encoded = body === null ? null : Buffer.from(body);
    const signal = call.signal;
    const answer = await link.send({ method, path, headers, body: encoded, isWrite, signal, timeoutMs: leftMs });
    session.learn(textOf(answer, "x-ms-session-token"));
    const refusal = this.#refusal(answer, isWrite);
    const isMissing = answer.status === 404 && refusal.substatus === 0 && target.kind === "document";
    if (isMissing || RESULTS.has(answer.status)) {
      request.check?.(answer);
      return answer;
    }
    const error = refusalError(refusal);
    const isFinal = error.again?.reason === "sign-in" && !login.refused(authorization);
    throw isFinal ? new CosmosError(error.code, error.message) : error;
  }

  /** A sign-in serves many calls, so it goes on when one of them does not wait for its end. */
  #signedIn(authorization: Promise<string>, { signal }: Call, end: number): Promise<string> {
    const { clock, link } = this.#options;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", leave);
        this.#signingIn.delete(close);
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const leave = (): void => fail(leftError());
      const close = (): void => fail(closedError());
      const timer = clock.after(Math.max(0, end - clock.monotonicMs()), () => fail(noTokenError(link.server)));
      signal.addEventListener("abort", leave, { once: true });
      this.#signingIn.add(close);
      authorization.then((text) => {
        settle();
        resolve(text);
      }, fail);
    });
  }

  #resource(target: Target): Pick<Signed, "resourceType" | "resourceLink"> {
    if (target.kind === "container") return { resourceType: "colls", resourceLink: this.#containerLink };
    if (target.kind === "documents") return { resourceType: "docs", resourceLink: this.#containerLink };
    return { resourceType: "docs", resourceLink: `${this.#containerLink}/docs/${target.id}` };
  }

  #path(target: Target): string {
    if (target.kind === "container") return this.#containerPath;
    if (target.kind === "documents") return `${this.#containerPath}/docs`;
    return `${this.#containerPath}/docs/${encodeURIComponent(target.id)}`;
  }

  #headers({ method, target, partition, headers, isWrite }: CosmosRequest): Record<string, string> {
    const all: Record<string, string> = {
      accept: "application/json",
      "user-agent": `pannier/${VERSION}`,
      "x-ms-version": API_VERSION,
      // With every request, as Microsoft's client does: emulators want it with reads of one document too.
      "x-ms-documentdb-query-enablecrosspartition": "True",
      ...(method === "POST" || method === "PUT" ? { "content-type": "application/json" } : {}),
      // The answer to a write need not bring the document back.
      ...(isWrite ? { prefer: "return=minimal" } : {}),
      ...(partition === null ? {} : { "x-ms-documentdb-partitionkey": partitionHeader(partition) }),
      ...headers,
    };
    const session = this.#options.session.header();
    if (!isWrite && target.kind !== "container" && session !== null) all["x-ms-session-token"] = session;
    return all;
  }

  #refusal(answer: HttpAnswer, isWrite: boolean): Refusal {
    const retryAfter = Number(textOf(answer, "x-ms-retry-after-ms") ?? Number.NaN);
    return {
      status: answer.status,
      substatus: Number(textOf(answer, "x-ms-substatus") ?? 0),
      retryAfterMs: Number.isFinite(retryAfter) && retryAfter >= 0 ? retryAfter : null,
      server: this.server,
      isWrite,
    };
  }

  /** The error for a call that is given up although another attempt might fare better. */
  #givenUp(error: CosmosError, { reason, afterMs }: Again, attempts: number): CosmosError {
    if (reason === "session") {
      this.#options.session.forget();
      this.#options.log.warn("Cosmos DB does not catch up, reads go on without a session", { server: this.server });
    }
    const wish = afterMs === null || afterMs === 0 ? "" : `; the next would have to wait ${afterMs} ms`;
    return new CosmosError(error.code, `${error.message}; gave up after ${attempts} attempts${wish}`);
  }

  async #pause(pauseMs: number, { signal }: Call): Promise<void> {
    if (await sleep(this.#options.clock, pauseMs, AbortSignal.any([signal, this.#ended.signal]))) return;
    throw this.#ended.signal.aborted ? closedError() : leftError();
  }
}

/** A header has one text here: Cosmos DB repeats none. */
export function textOf({ headers }: HttpAnswer, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}

const BEYOND_ASCII = /[\u007f-\uffff]/g;

/** The values of a partition's key as JSON in ASCII, for that is what a header holds. */
function partitionHeader(partition: string): string {
  const json = JSON.stringify([partition]);
  return json.replace(BEYOND_ASCII, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
