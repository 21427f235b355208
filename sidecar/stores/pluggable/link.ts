// The connection to a pluggable component. The first one begins with Init, which gives the component its Component's
// metadata, and so does each one after the component has gone and come back. (Dapr's own client reconnects by itself and
// leaves out Init, so that a component that was restarted never works again.) A component that only closes connections that
// have been idle or old, as servers do, gets no second Init, which could make it forget what it has.
import { Client, type ClientUnaryCall, connectivityState, credentials, Metadata } from "@grpc/grpc-js";
import type { Clock } from "#kit/clock.ts";
import { unlessLeft } from "#kit/leaving.ts";
import type { Log } from "#kit/log.ts";
import { decodeMessage, encodeMessage } from "#proto/wire.ts";
import { abandonedError, awayError, closedError, leftError, statusError } from "./failures.ts";
import { INIT, type Method } from "./methods.ts";
import type { Socket } from "./sockets.ts";

export interface LinkOptions {
  /** "pluggable component foo". */
  readonly who: string;
  /** Null while there is none. */
  readonly socket: () => Promise<Socket | null>;
  /** Name of the Component: a program may serve several. */
  readonly instance: string;
  /** The Component's metadata, secrets included. */
  readonly properties: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Longest that one call waits for its answer. */
const CALL_MS = 5_000;
/** Longest that Init may take: a component opens its own connections then. */
const INIT_MS = 30_000;
/** Longest until a socket that is there accepts. */
const CONNECT_MS = 2_000;

/** Dapr's name of the header that tells Components of one program apart (pkg/components/pluggable/grpc.go). */
const INSTANCE_HEADER = "x-component-instance";

const CHANNEL_OPTIONS = {
  // Messages are as large as the component lets them be.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // What is tried again is decided by the core.
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  // A connection that is not used stays, for as long as Node's timers run.
  "grpc.client_idle_timeout_ms": 2 ** 31 - 1,
  // Connections end with the store, and not when a pool of the process looks after them next.
  "grpc.use_local_subchannel_pool": 1,
};

export class Link {
  readonly #options: LinkOptions;
  readonly #calls = new Set<(ending: "closed") => void>();
  /** The connection, or the attempt to make one that all calls share. */
  #connection: Promise<Client> | null = null;
  #client: Client | null = null;
  /** The socket behind which something has been through Init; null where that is not certain. */
  #initialised: string | null = null;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Gives the answer. Rejects with a StoreError; nothing is sent twice. */
  async send<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    signal: AbortSignal,
  ): Promise<Response> {
    if (signal.aborted) throw leftError();
    const client = await this.#connected(signal);
    // It may have gone, or the store been closed, while the call waited for its turn.
    if (this.#client !== client) throw this.#closed ? closedError() : awayError(this.#options.who);
    return this.#call(client, { method, request, timeoutMs: CALL_MS }, signal);
  }

  /** Ends everything at once: calls under way reject. May be called again. */
  close(): void {
    this.#closed = true;
    for (const end of this.#calls) end("closed");
    this.#client?.close();
    this.#client = null;
    this.#connection = null;
  }

  #connected(signal: AbortSignal): Promise<Client> {
    if (this.#closed) return Promise.reject(closedError());
    if (this.#connection === null) {
      const connection = this.#connect();
      this.#connection = connection;
      connection.catch(() => {
        if (this.#connection === connection) this.#connection = null;
      });
    }
    return unlessLeft(this.#connection, signal, leftError);
  }

  async #connect(): Promise<Client> {
    const { who, socket, properties } = this.#options;
    const before = await socket();
    if (before === null) throw awayError(who);
    if (this.#closed) throw closedError();
    const client = new Client(`unix:${before.path}`, credentials.createInsecure(), CHANNEL_OPTIONS);
    this.#client = client;
    try {
      await this.#ready(client);
      // The socket of this connection, unless another one has come in its place meanwhile.
      const identity = (await socket())?.identity === before.identity ? before.identity : null;
      if (this.#closed) throw closedError();
      if (identity === null || identity !== this.#initialised) {
        const request = { metadata: { properties: { ...properties } } };
        // By the shared attempt: it goes on when the caller who began it leaves.
        await this.#call(client, { method: INIT, request, timeoutMs: INIT_MS }, null);
        this.#initialised = identity;
      }
      this.#watch(client);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Rejects at once when nobody listens, and does not wait for the library to try again. */
  #ready(client: Client): Promise<void> {
    const { clock, who } = this.#options;
    const channel = client.getChannel();
    const deadline = clock.nowMs() + CONNECT_MS;
    return new Promise((resolve, reject) => {
      const look = (error?: Error): void => {
        const state = channel.getConnectivityState(true);
        const failed = error !== undefined || state === connectivityState.TRANSIENT_FAILURE;
        if (state === connectivityState.READY) resolve();
        else if (failed || state === connectivityState.SHUTDOWN) reject(this.#closed ? closedError() : awayError(who));
        else channel.watchConnectivityState(state, deadline, look);
      };
      look();
    });
  }

  /** A connection that is lost is given up, before the library makes another one by itself. */
  #watch(client: Client): void {
    const channel = client.getChannel();
    const state = channel.getConnectivityState(false);
    if (state !== connectivityState.READY) this.#drop(client);
    else channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#drop(client));
  }

  #drop(client: Client): void {
    if (this.#client !== client) return;
    this.#client = null;
    this.#connection = null;
    client.close();
    if (!this.#closed)
      this.#options.log.info("connection to pluggable component ended", { component: this.#options.instance });
  }

  #call<Request, Response>(
    client: Client,
    { method, request, timeoutMs }: Outgoing<Request, Response>,
    signal: AbortSignal | null,
  ): Promise<Response> {
    const { who, clock, instance } = this.#options;
    const { path, isWrite } = method;
    return new Promise((resolve, reject) => {
      let call: ClientUnaryCall | null = null;
      const settle = (): void => {
        signal?.removeEventListener("abort", leave);
        this.#calls.delete(abandon);
      };
      const abandon = (ending: "left" | "closed"): void => {
        settle();
        reject(abandonedError(ending, who, isWrite));
        call?.cancel();
      };
      const leave = (): void => abandon("left");
      signal?.addEventListener("abort", leave, { once: true });
      this.#calls.add(abandon);
      const metadata = new Metadata();
      metadata.set(INSTANCE_HEADER, instance);
      call = client.makeUnaryRequest(
        path,
        (message: Request): Buffer => asBuffer(encodeMessage(method.request, message)),
        (bytes: Buffer): Response => decodeMessage(method.response, bytes),
        request,
        metadata,
        { deadline: clock.nowMs() + timeoutMs },
        (status, answer) => {
          settle();
          if (status === null && answer !== undefined) resolve(answer);
          else if (status !== null) reject(statusError({ status, who, path, isWrite }));
        },
      );
    });
  }
}

interface Outgoing<Request, Response> {
  readonly method: Method<Request, Response>;
  readonly request: Request;
  readonly timeoutMs: number;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
