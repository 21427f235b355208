// The connection to one of several NATS servers: made when it is first needed and again when it was lost. Knows no bucket.
// The client library does not reconnect: it would keep what it is given meanwhile, and send it when nobody waits any more.
import {
  type ConnectionOptions,
  connect,
  jwtAuthenticator,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type TlsOptions,
} from "@nats-io/transport-node";
import { assert } from "#kit/assert.ts";
import { type Clock, never, sleep } from "#kit/clock.ts";
import { unlessLeft } from "#kit/leaving.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { Addresses, User } from "./addresses.ts";
import { closedError, closingError, connectError, JetStreamError, leftError, requestError } from "./failures.ts";
import { greeted } from "./greeting.ts";

export interface LinkOptions {
  readonly addresses: Addresses;
  /** Null where nobody signs in by JWT. */
  readonly credentials: { readonly jwt: string; readonly seed: string } | null;
  /** Name of the connection. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface Request {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly headers: MsgHdrs | null;
  readonly isWrite: boolean;
}

/** Requests that wait for their answers; more are refused at once. */
const WAITING_MAX = 16_384;
/** Longest wait for an answer: as long as Dapr's client waits. */
const ANSWER_MS = 5000;
/** Longest wait for a connection to one server. */
const CONNECT_MS = 2000;
/** A connection on which nobody asks for anything is looked at this often, and is given up after two looks in vain. */
const PING_MS = 10_000;
const PINGS_IN_VAIN = 2;
/** Longest that a connection takes to end: the library waits for a last word to leave. */
const FAREWELL_MS = 1000;

export class Link {
  readonly #options: LinkOptions;
  readonly #leaving = new AbortController();
  #connection: NatsConnection | null = null;
  #opening: Promise<NatsConnection> | null = null;
  /** Which server is asked next. */
  #place: number;
  /** What became of the servers that failed and were not reached since: the log tells of each once. */
  readonly #failing = new Map<string, string>();
  #opened = false;
  /** Requests that were sent and not answered yet. */
  #waiting = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    // Not all clients of a cluster at the first server.
    this.#place = Math.floor(options.random.fraction() * options.addresses.servers.length);
  }

  /** The server in use, or all of them, for errors. */
  get server(): string {
    return this.#connection?.getServer() ?? this.#options.addresses.servers.join(", ");
  }

  /** "2.9.10"; null before there is a connection. */
  get version(): string | null {
    return this.#connection?.info?.version ?? null;
  }

  /** Most bytes of a message; null before there is a connection. */
  get payloadBytesMax(): number | null {
    return this.#connection?.info?.max_payload ?? null;
  }

  /** Gives the answer. A read whose connection breaks is sent once more. Rejects with a JetStreamError. */
  async request(request: Request, signal: AbortSignal): Promise<Msg> {
    try {
      return await this.#attempt(request, signal);
    } catch (error) {
      if (!(error instanceof JetStreamError) || !error.repeatable) throw error;
      return this.#attempt(request, signal);
    }
  }

  /** The store is open: from now on the log tells of servers that fail. Until then the error of who opens it tells. */
  opened(): void {
    this.#opened = true;
    for (const [server, error] of this.#failing) this.#warn(server, error);
  }

  /** Ends the connection; requests under way reject at once. May be called again. */
  async close(): Promise<void> {
    this.#leaving.abort();
    await this.#end();
  }

  async #end(): Promise<void> {
    const connection = this.#connection;
    if (connection === null) return;
    this.#connection = null;
    await Promise.race([connection.close(), sleep(this.#options.clock, FAREWELL_MS, never)]);
  }

  async #attempt(request: Request, signal: AbortSignal): Promise<Msg> {
    if (this.#leaving.signal.aborted) throw closedError();
    if (signal.aborted) throw leftError(false);
    const open = this.#connection?.isClosed() === false ? this.#connection : null;
    const connection = open ?? (await unlessLeft(this.#open(), signal, () => leftError(false)));
    const sent = this.#send(connection, request);
    return unlessLeft(sent, signal, () => leftError(request.isWrite));
  }

  async #send(connection: NatsConnection, { subject, payload, headers, isWrite }: Request): Promise<Msg> {
    const options = { timeout: ANSWER_MS, ...(headers === null ? {} : { headers }) };
    const server = connection.getServer();
    if (this.#waiting >= WAITING_MAX)
      throw new JetStreamError("unavailable", `${this.#waiting} requests wait for NATS at ${server}`);
    this.#waiting++;
    try {
      return await connection.request(subject, payload, options);
    } catch (cause) {
      if (this.#leaving.signal.aborted) throw closingError(isWrite);
      const error = requestError(cause, { server, isWrite });
      // A server that says nothing is not asked again over this connection, and not first.
      if (error.code === "timeout" && connection === this.#connection) {
        this.#place++;
        await this.#end();
      }
      throw error;
    } finally {
      this.#waiting--;
    }
  }

  /** One attempt for all that wait for it. */
  #open(): Promise<NatsConnection> {
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  /** Asks each server once, beginning where it went well last. */
  async #connect(): Promise<NatsConnection> {
    const { servers } = this.#options.addresses;
    let failure: JetStreamError | null = null;
    for (let asked = 0; asked < servers.length; asked++) {
      const server = servers[this.#place % servers.length];
      assert(server !== undefined, "there is a server");
      try {
        const connection = await this.#connectTo(server);
        this.#connection = connection;
        this.#failing.delete(server);
        if (this.#leaving.signal.aborted) await this.#end();
        return connection;
      } catch (cause) {
        if (this.#leaving.signal.aborted) throw closedError();
        failure = connectError(server, cause);
        if (this.#opened && !this.#failing.has(server)) this.#warn(server, failure.message);
        this.#failing.set(server, failure.message);
        this.#place++;
      }
    }
    throw failure ?? closedError();
  }

  #warn(server: string, error: string): void {
    this.#options.log.warn("nats server fails", { server, error });
  }

  async #connectTo(server: string): Promise<NatsConnection> {
    const { addresses, credentials, name, clock } = this.#options;
    const { tls, user } = addresses;
    const seed = credentials === null ? null : new TextEncoder().encode(credentials.seed);
    const leaving = this.#leaving.signal;
    const greeting = await greeted({ server, clock, withinMs: CONNECT_MS, leaving });
    if (tls && greeting.tls === "none") throw new Error("it speaks no TLS; use nats:// in natsURL");
    return withHandshake(leaving, (handshake) =>
      connect({
        servers: [server],
        name,
        timeout: CONNECT_MS,
        reconnect: false,
        ignoreClusterUpdates: true,
        pingInterval: PING_MS,
        maxPingOut: PINGS_IN_VAIN,
        noAsyncTraces: true,
        // As Dapr's client. Left out, the library would speak TLS wherever it is offered.
        tls: tls || greeting.tls === "required" ? handshake : null,
        ...signIn(user),
        ...(credentials === null || seed === null ? {} : { authenticator: jwtAuthenticator(credentials.jwt, seed) }),
      }),
    );
  }
}

/** Handed on to Node's tls, which ends the connection when the signal aborts. */
type Handshake = TlsOptions & { readonly signal: AbortSignal };

/** The client library leaves a connection open for ever whose server does not answer the TLS handshake. */
async function withHandshake(
  leaving: AbortSignal,
  connecting: (handshake: Handshake) => Promise<NatsConnection>,
): Promise<NatsConnection> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  leaving.addEventListener("abort", end, { once: true });
  try {
    return await connecting({ signal: ending.signal });
  } catch (error) {
    end();
    throw error;
  } finally {
    leaving.removeEventListener("abort", end);
  }
}

function signIn(user: User | null): ConnectionOptions {
  if (user === null) return {};
  return user.password === null ? { token: user.name } : { user: user.name, pass: user.password };
}
