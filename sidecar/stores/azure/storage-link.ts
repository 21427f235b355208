// Requests to one of Azure's storage services over HTTP, on connections of the store's own: signed, each with its time and
// a caller who may leave, again where the service is busy, and with an honest end (storage-failures.ts). The services'
// own protocol is small and has not changed in years; why none of Microsoft's clients is used is in docs/decisions/0017. Knows
// no operation.
import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { type Clock, sleep } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { Call } from "../store.ts";
import type { Tokens } from "./entra-tokens.ts";
import type { Sign } from "./shared-key.ts";
import { Attempt, type StorageRequest } from "./storage-attempt.ts";
import { closedError, leftError, type StorageAnswer, StorageError } from "./storage-failures.ts";

/** Who asks. `sas` is the query of a shared access signature, without a question mark. */
export type Identity =
  | { readonly kind: "key"; readonly sign: Sign }
  | { readonly kind: "tokens"; readonly tokens: Tokens }
  | { readonly kind: "sas"; readonly sas: string };

export interface StorageLinkOptions {
  /** "Azure Blob Storage", as it stands in errors before the host. */
  readonly service: string;
  /** Where the account is: "https://account.blob.core.windows.net", "http://127.0.0.1:10000/account". */
  readonly base: URL;
  readonly identity: Identity;
  /** Headers of every request; the version of the protocol is one. */
  readonly headers: Readonly<Record<string, string>>;
  /** How often a request is sent again that the service was too busy for, or a read whose connection broke. */
  readonly retries: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Connections to the service at a time; requests wait for one, and no longer than for a connection. */
const SOCKETS_MAX = 64;
/** Requests at a time; more are refused at once. */
const REQUESTS_MAX = 4096;
/** Connections without work are closed after this time, before the service does it. */
const IDLE_MS = 20_000;
const WAIT_FIRST_MS = 100;
/** Longest wait before a request is sent again: a service that asks for more is told on as busy. */
const WAIT_LONGEST_MS = 5_000;

const UNAUTHORIZED = 401;
const TOO_MANY_REQUESTS = 429;
const UNAVAILABLE = 503;
const SERVER_ERROR = 500;

export class StorageLink {
  /** "Azure Blob Storage at account.blob.core.windows.net". */
  readonly server: string;
  readonly #options: StorageLinkOptions;
  readonly #agent: HttpAgent;
  /** What stands before the path of each request: of the account, where it is not in the host's name. */
  readonly #path: string;
  readonly #host: string;
  readonly #attempts = new Set<Attempt>();
  readonly #closing = new AbortController();

  constructor(options: StorageLinkOptions) {
    this.#options = options;
    this.server = `${options.service} at ${options.base.host}`;
    this.#path = options.base.pathname.replace(/\/$/, "");
    this.#host = options.base.hostname.replace(/^\[(.*)\]$/, "$1");
    const pool = { keepAlive: true, maxSockets: SOCKETS_MAX, scheduling: "lifo", timeout: IDLE_MS } as const;
    this.#agent = options.base.protocol === "https:" ? new HttpsAgent(pool) : new HttpAgent(pool);
  }

  /** Gives what the service answered, whatever it is. Rejects with a StorageError when nothing came. */
  async send(request: StorageRequest, call: Call): Promise<StorageAnswer> {
    for (let again = 0; ; again++) {
      try {
        const answer = await this.#sendOnce(request, call);
        const waitMs = again < this.#options.retries ? this.#waitMs(request, answer, again) : null;
        if (waitMs === null || !(await this.#wait(waitMs, call))) return answer;
      } catch (error) {
        if (!(error instanceof StorageError) || !error.repeatable || again >= this.#options.retries) throw error;
      }
    }
  }

  /** Ends everything at once: requests under way reject. May be called again. */
  close(): void {
    this.#closing.abort();
    for (const attempt of this.#attempts) attempt.end("closed");
    this.#agent.destroy();
  }

  async #sendOnce(request: StorageRequest, { signal }: Call): Promise<StorageAnswer> {
    this.#mustGoOn(signal);
    const { identity } = this.#options;
    if (identity.kind !== "tokens") return this.#attempt(request, identity, signal);
    const token = await this.#untilLeft(identity.tokens.current(), signal);
    this.#mustGoOn(signal);
    const answer = await this.#attempt(request, `Bearer ${token}`, signal);
    if (answer.status === UNAUTHORIZED) identity.tokens.forget(token);
    return answer;
  }

  #mustGoOn(signal: AbortSignal): void {
    if (this.#closing.signal.aborted) throw closedError();
    if (signal.aborted) throw leftError();
    if (this.#attempts.size >= REQUESTS_MAX)
      throw new StorageError("unavailable", `${REQUESTS_MAX} requests wait for ${this.server}`);
  }

  #attempt(
    request: StorageRequest,
    identity: string | Exclude<Identity, { kind: "tokens" }>,
    signal: AbortSignal,
  ): Promise<StorageAnswer> {
    const { base, headers, clock } = this.#options;
    const path = this.#path + request.path;
    const all = new Map(Object.entries({ ...headers, ...request.headers }));
    all.set("x-ms-date", new Date(clock.nowMs()).toUTCString());
    const bodyBytes = request.body?.length ?? 0;
    if (request.method !== "GET") all.set("Content-Length", String(bodyBytes));
    if (typeof identity === "string") all.set("Authorization", identity);
    else if (identity.kind === "key") {
      const lower = new Map([...all].map(([name, value]) => [name.toLowerCase(), value]));
      const query = new Map(Object.entries(request.query));
      all.set("Authorization", identity.sign({ method: request.method, path, query, headers: lower, bodyBytes }));
    }
    const query = Object.entries(request.query).map((pair) => pair.map(encodeURIComponent).join("="));
    if (typeof identity !== "string" && identity.kind === "sas") query.push(identity.sas);
    const url = query.length === 0 ? path : `${path}?${query.join("&")}`;
    return new Promise((resolve, reject) => {
      const over = (): void => void this.#attempts.delete(attempt);
      const attempt = new Attempt({ request, server: this.server, clock, signal, over, resolve, reject });
      this.#attempts.add(attempt);
      const send = base.protocol === "https:" ? httpsRequest : httpRequest;
      const to = { host: this.#host, port: base.port, path: url, agent: this.#agent };
      attempt.begin(send({ ...to, method: request.method, headers: Object.fromEntries(all) }));
    });
  }

  /** How long to wait before the request is sent again, or null when the answer is the one to give. */
  #waitMs({ isWrite }: StorageRequest, { status, code, headers }: StorageAnswer, again: number): number | null {
    // By that word the service says that it has not begun. A gateway's 503, and another one of Cosmos DB's, does not.
    const isBusy = status === TOO_MANY_REQUESTS || (status === UNAVAILABLE && code === "ServerBusy");
    if (!isBusy && (isWrite || status < SERVER_ERROR)) return null;
    const usualMs = WAIT_FIRST_MS * 2 ** again * (1 + this.#options.random.fraction());
    // The second one is Cosmos DB's.
    const wantedMs = Number(headers["x-ms-retry-after-ms"] ?? Number(headers["retry-after"] ?? 0) * 1000);
    const waitMs = Math.max(usualMs, Number.isFinite(wantedMs) ? wantedMs : 0);
    return waitMs <= WAIT_LONGEST_MS ? waitMs : null;
  }

  /** False when the caller leaves, or the store is closed: the answer that there is has to do. */
  #wait(ms: number, { signal }: Call): Promise<boolean> {
    const ending = new AbortController();
    const end = (): void => ending.abort();
    for (const each of [signal, this.#closing.signal]) each.addEventListener("abort", end, { once: true });
    return sleep(this.#options.clock, ms, ending.signal).finally(() => {
      for (const each of [signal, this.#closing.signal]) each.removeEventListener("abort", end);
    });
  }

  /** The promise's outcome, or a rejection when the caller leaves or the store is closed; nothing was sent by then. */
  #untilLeft<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    const closing = this.#closing.signal;
    return new Promise((resolve, reject) => {
      const leave = (): void => reject(leftError());
      const close = (): void => reject(closedError());
      signal.addEventListener("abort", leave, { once: true });
      closing.addEventListener("abort", close, { once: true });
      promise.then(resolve, reject).finally(() => {
        signal.removeEventListener("abort", leave);
        closing.removeEventListener("abort", close);
      });
    });
  }
}
