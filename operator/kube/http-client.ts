// KubeClient over HTTPS: credentials and addresses come from @kubernetes/client-node's KubeConfig (a kubeconfig file, or
// the pod's own token and CA, read anew as they rotate), the exchange itself is node:https. Knows no resource. The only
// file that imports that package. No error from here carries a credential, nor bytes of an answer that is not a Status.
import { once } from "node:events";
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { Agent, type RequestOptions, request as send } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import type { Clock } from "#kit/clock.ts";
import { VERSION } from "#kit/version.ts";
import { errorOf, parseAnswer, readBody, unanswered } from "./answer.ts";
import { type KubeClient, KubeError, type KubeRequest, REQUEST_TIMEOUT_MS } from "./client.ts";
import { Slots } from "./slots.ts";

/** Requests under way at once, a watch counting until its first byte; the others wait in order. */
export const REQUESTS_MAX = 32;
/** Requests that may wait for their turn. */
export const REQUESTS_WAITING_MAX = 10_000;
/** Longest answer, in bytes; watches have none. A page of 500 objects of 1.5 MiB would be beyond every sane limit. */
export const ANSWER_BYTES_MAX: number = 64 * 1024 * 1024;
/** An idle connection is closed after so long, in milliseconds. */
const IDLE_CONNECTION_MS = 60_000;
/** TCP's own question whether the other end is there, in milliseconds of quiet. */
const TCP_KEEP_ALIVE_MS = 15_000;

export interface KubeClientOptions {
  /** A kubeconfig file, or null for the service account of the pod that we are in. */
  readonly kubeconfig: string | null;
  readonly clock: Clock;
  readonly requestsMax?: number;
  readonly answerBytesMax?: number;
}

/** Reads the kubeconfig. Throws a KubeError when it names no usable API server; connects only when asked something. */
export function openKubeClient(options: KubeClientOptions): KubeClient {
  const config = new KubeConfig();
  if (options.kubeconfig === null) config.loadFromCluster();
  else config.loadFromFile(options.kubeconfig);
  return new HttpKubeClient(config, serverOf(config, options.kubeconfig), options);
}

function serverOf(config: KubeConfig, file: string | null): URL {
  const text = config.getCurrentCluster()?.server ?? "";
  const url = URL.parse(text);
  if (url?.protocol === "https:") return url;
  if (file === null) {
    throw unanswered(
      "KUBERNETES_SERVICE_HOST and _PORT: want an API server over HTTPS; give --kubeconfig outside a pod",
    );
  }
  throw unanswered(`${file}: the server of the current context: got "${text}", want an https URL`);
}

/** One exchange under way: what it is called in errors, and what ends it early. */
interface Exchange {
  readonly what: string;
  /** Aborts with a KubeError as its reason. */
  readonly signal: AbortSignal;
  /** No longer ends by time. */
  settle(): void;
  /** Nothing ends it any more. */
  leave(): void;
}

class HttpKubeClient implements KubeClient {
  readonly #config: KubeConfig;
  readonly #server: URL;
  readonly #clock: Clock;
  readonly #slots: Slots;
  readonly #answerBytesMax: number;
  readonly #closing = new AbortController();
  readonly #agent = new Agent({ keepAlive: true, keepAliveMsecs: TCP_KEEP_ALIVE_MS, timeout: IDLE_CONNECTION_MS });

  constructor(config: KubeConfig, server: URL, options: KubeClientOptions) {
    this.#config = config;
    this.#server = server;
    this.#clock = options.clock;
    this.#slots = new Slots({ most: options.requestsMax ?? REQUESTS_MAX, waitingMax: REQUESTS_WAITING_MAX });
    this.#answerBytesMax = options.answerBytesMax ?? ANSWER_BYTES_MAX;
  }

  async request<T>(request: KubeRequest): Promise<T> {
    const exchange = this.#begin(request);
    const { what } = exchange;
    try {
      const release = await this.#turn(exchange);
      try {
        const answer = await this.#answer(request, exchange);
        return parseAnswer<T>(await readBody(answer, what, this.#answerBytesMax), what);
      } finally {
        release();
      }
    } catch (error) {
      throw errorFrom(error, exchange);
    } finally {
      exchange.leave();
    }
  }

  async stream(request: KubeRequest & { readonly signal: AbortSignal }): Promise<AsyncIterable<Buffer>> {
    const exchange = this.#begin(request);
    try {
      const release = await this.#turn(exchange);
      try {
        const answer = await this.#answer(request, exchange);
        exchange.settle();
        return chunksOf(answer, exchange);
      } finally {
        release();
      }
    } catch (error) {
      exchange.leave();
      throw errorFrom(error, exchange);
    }
  }

  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  #begin({ method, path, timeoutMs = REQUEST_TIMEOUT_MS, signal }: KubeRequest): Exchange {
    const what = `${method} ${path}`;
    const ending = new AbortController();
    const end = (why: string): void => ending.abort(unanswered(`${what}: ${why}`));
    const timer = this.#clock.after(timeoutMs, () => end(`no answer within ${timeoutMs} ms`));
    const abort = (): void => end("given up by who asked");
    const close = (): void => end("the client is closed");
    signal?.addEventListener("abort", abort, { once: true });
    this.#closing.signal.addEventListener("abort", close, { once: true });
    if (signal?.aborted === true) abort();
    if (this.#closing.signal.aborted) close();
    return {
      what,
      signal: ending.signal,
      settle: () => timer.cancel(),
      leave: () => {
        timer.cancel();
        signal?.removeEventListener("abort", abort);
        this.#closing.signal.removeEventListener("abort", close);
      },
    };
  }

  async #turn({ what, signal }: Exchange): Promise<() => void> {
    try {
      return await this.#slots.take(signal);
    } catch (error) {
      throw error instanceof RangeError ? unanswered(`${what}: of the requests, ${error.message}`) : error;
    }
  }

  /** The answer when it is 2xx, its body not yet read. */
  async #answer(request: KubeRequest, exchange: Exchange): Promise<IncomingMessage> {
    const options = await this.#optionsOf(request, exchange);
    const body = request.body === undefined ? null : JSON.stringify(request.body);
    const answer = await this.#sendAgainWhenStale(options, body, exchange.signal);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const said = await readBody(answer, exchange.what, this.#answerBytesMax);
    throw errorOf(exchange.what, answer, said, this.#clock.nowMs());
  }

  /** A kept connection may be closed by the server at the very moment we use it; to read twice changes nothing. */
  async #sendAgainWhenStale(
    options: RequestOptions,
    body: string | null,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const sent = send(options);
    try {
      return await answerTo(sent, body, signal);
    } catch (error) {
      if (!sent.reusedSocket || options.method !== "GET" || signal.aborted) throw error;
      return await answerTo(send(options), body, signal);
    }
  }

  async #optionsOf(request: KubeRequest, { what, signal }: Exchange): Promise<RequestOptions> {
    const { hostname, port, pathname } = this.#server;
    const credentials = await this.#credentials(what);
    const headers: OutgoingHttpHeaders = {
      ...(credentials.headers as OutgoingHttpHeaders | undefined),
      accept: request.accept ?? "application/json",
      "user-agent": `pannier/${VERSION}`,
    };
    if (request.body !== undefined) headers["content-type"] = request.contentType ?? "application/json";
    const query = request.query === undefined ? "" : `?${new URLSearchParams(request.query).toString()}`;
    return {
      ...credentials,
      // A proxy that the kubeconfig names is in the agent that comes with the credentials.
      agent: this.#config.getCurrentCluster()?.proxyUrl === undefined ? this.#agent : credentials.agent,
      method: request.method,
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? 443 : Number(port),
      path: `${pathname.replace(/\/$/, "")}${request.path}${query}`,
      headers,
      signal,
    };
  }

  /**
   * Asked anew for each request: files are read again, so that rotated tokens and certificates are used as they come
   * (a changed certificate also means a new connection, for Node's agent keeps connections apart by it).
   */
  async #credentials(what: string): Promise<RequestOptions> {
    const options: RequestOptions = {};
    try {
      await this.#config.applyToHTTPSOptions(options);
      return options;
    } catch (error) {
      // Its text may be the output of a credential plugin.
      const code = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : "unknown";
      throw unanswered(`${what}: cannot read the credentials that the kubeconfig or the pod names (${code})`);
    }
  }
}

type Sent = ReturnType<typeof send>;

async function answerTo(sent: Sent, body: string | null, signal: AbortSignal): Promise<IncomingMessage> {
  const answered = once(sent, "response", { signal });
  // A connection that breaks after the answer has begun is told by the answer's own body.
  sent.on("error", () => undefined);
  sent.end(body ?? undefined);
  const [answer] = (await answered) as [IncomingMessage];
  return answer;
}

async function* chunksOf(answer: IncomingMessage, exchange: Exchange): AsyncGenerator<Buffer, void> {
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw errorFrom(error, exchange);
  } finally {
    exchange.leave();
    answer.destroy();
  }
}

function errorFrom(error: unknown, { what, signal }: Exchange): KubeError {
  if (signal.aborted && signal.reason instanceof KubeError) return signal.reason;
  if (error instanceof KubeError) return error;
  return unanswered(`${what}: ${error instanceof Error ? error.message : String(error)}`, error);
}
