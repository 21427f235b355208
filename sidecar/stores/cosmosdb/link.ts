// One request over HTTPS and its answer, with a bound on everything: time, bytes, connections, requests that wait. Tells a
// request that was never sent from one that may have arrived. Knows no header of Cosmos DB.
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Clock } from "#kit/clock.ts";
import {
  abandonedError,
  busyError,
  type CosmosError,
  closedError,
  connectError,
  leftError,
  lostError,
  strangeError,
  timeoutError,
} from "./failures.ts";

export interface HttpCall {
  readonly method: string;
  /** With everything escaped that a URL wants escaped. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  readonly isWrite: boolean;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Of one sidecar to one account. */
const CONNECTIONS_MAX = 64;
/** Requests under way and those that wait for a connection. */
const REQUESTS_MAX = 4096;
/** The service's own limits are 4 MiB for a page and about 2 MiB for a document; emulators have none. */
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;
/** Below the minutes after which load balancers forget a connection. */
const IDLE_MS = 30_000;

export class Link {
  /** "account.documents.azure.com:443" */
  readonly server: string;
  readonly #url: URL;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #clock: Clock;
  readonly #abandons = new Set<(ending: "closed") => void>();
  #closed = false;

  constructor(url: URL, clock: Clock) {
    this.#url = url;
    this.#clock = clock;
    this.server = `${url.hostname}:${url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port}`;
    const options = { keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: IDLE_MS };
    this.#agent = url.protocol === "https:" ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** Rejects with a CosmosError; any status is an answer. */
  send(call: HttpCall): Promise<HttpAnswer> {
    if (this.#closed) return Promise.reject(closedError());
    if (call.signal.aborted) return Promise.reject(leftError());
    if (this.#abandons.size >= REQUESTS_MAX) return Promise.reject(busyError(REQUESTS_MAX));
    return new Promise((resolve, reject) => {
      const request = this.#open(call);
      const settle = (): void => {
        timer.cancel();
        call.signal.removeEventListener("abort", leave);
        this.#abandons.delete(abandon);
      };
      const fail = (error: CosmosError): void => {
        settle();
        reject(error);
        request.destroy();
      };
      const state = trackSending(request);
      const abandon = (ending: "left" | "closed"): void =>
        fail(abandonedError(ending, this.server, call.isWrite && state.sent));
      const leave = (): void => abandon("left");
      const timer = this.#clock.after(call.timeoutMs, () =>
        fail(timeoutError(this.server, call.isWrite && state.sent)),
      );
      call.signal.addEventListener("abort", leave, { once: true });
      this.#abandons.add(abandon);
      request.on("error", (error) =>
        fail(state.sent ? lostError(this.server, call.isWrite) : connectError(this.server, error)),
      );
      request.once("response", (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_BYTES_MAX) fail(strangeError(this.server, call.isWrite));
          else chunks.push(chunk);
        });
        response.on("error", () => fail(lostError(this.server, call.isWrite)));
        response.once("end", () => {
          settle();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
        });
      });
      request.end(call.body ?? undefined);
    });
  }

  /** Ends every connection at once; requests under way reject. May be called again. */
  close(): void {
    this.#closed = true;
    for (const abandon of [...this.#abandons]) abandon("closed");
    this.#agent.destroy();
  }

  #open({ method, path, headers, body }: HttpCall): ClientRequest {
    const { protocol, hostname, port } = this.#url;
    // Brackets stand around an address of IPv6 in a URL, and nowhere else.
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const length = body === null ? {} : { "content-length": String(body.length) };
    const options = { agent: this.#agent, host, port, method, path, headers: { ...headers, ...length } };
    return protocol === "https:" ? httpsRequest(options) : httpRequest(options);
  }
}

/** Whether anything can have left this machine: a new connection takes no byte before it stands. */
function trackSending(request: ClientRequest): { readonly sent: boolean } {
  const state = { sent: false };
  request.once("socket", (socket) => {
    if (request.reusedSocket) state.sent = true;
    else
      socket.once("encrypted" in socket ? "secureConnect" : "connect", () => {
        state.sent = true;
      });
  });
  return state;
}
