// The session with an ensemble: on one connection at a time, to one of several servers, made when it is first needed and
// again when it was lost. Knows no operation.
import { assert } from "#kit/assert.ts";
import type { Clock } from "#kit/clock.ts";
import { unlessLeft } from "#kit/leaving.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import { Connection } from "./connection.ts";
import { closedError, connectError, leftError, sessionError, ZooKeeperError } from "./failures.ts";
import { type Greeted, greet } from "./greeting.ts";
import { CODE, type Identity, NOBODY, type Reply, type Request } from "./messages.ts";
import type { Server } from "./servers.ts";

export interface SessionOptions {
  /** Never empty. */
  readonly servers: readonly Server[];
  /** What the servers are asked for; they have a say in it. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Longest wait for an answer, and for a session on one server. */
const ANSWER_MS_MAX = 5000;
const CONNECT_MS_MIN = 1000;

export class Session {
  readonly #options: SessionOptions;
  readonly #leaving = new AbortController();
  #connection: Connection | null = null;
  #opening: Promise<Connection> | null = null;
  /** Which server is asked next. */
  #place: number;
  /** By name, the servers that failed and were not reached since: the log tells of each once. */
  readonly #failing = new Set<string>();
  #identity: Identity = NOBODY;
  /** Of what was read here, no later read may come from before. */
  #zxid = 0n;
  #timeoutMs: number;
  #heardMs: number;

  constructor(options: SessionOptions) {
    const { servers, random, timeoutMs, clock } = options;
    this.#options = options;
    // Not all clients of an ensemble at the first server.
    this.#place = Math.floor(random.fraction() * servers.length);
    this.#timeoutMs = timeoutMs;
    this.#heardMs = clock.monotonicMs();
  }

  /** The server in use, for errors. */
  get server(): string {
    return this.#connection?.server ?? this.#next().name;
  }

  /**
   * Sends requests together over one connection and gives an answer for each. When the connection breaks, reads are sent once
   * more; a write never is, unless the server said that it did not take it. Rejects with a ZooKeeperError.
   */
  async exchange(requests: readonly Request[], signal: AbortSignal): Promise<readonly Reply[]> {
    try {
      return await this.#attempt(requests, signal);
    } catch (error) {
      if (!(error instanceof ZooKeeperError) || !error.repeatable) throw error;
      return this.#attempt(requests, signal);
    }
  }

  /** Ends the session; requests under way reject. May be called again. */
  async close(): Promise<void> {
    this.#leaving.abort();
    await this.#connection?.close();
  }

  async #attempt(requests: readonly Request[], signal: AbortSignal): Promise<readonly Reply[]> {
    if (this.#leaving.signal.aborted) throw closedError();
    if (signal.aborted) throw leftError(false);
    const open = this.#connection?.ending === null ? this.#connection : null;
    // Nothing was sent by then.
    const connection = open ?? (await unlessLeft(this.#open(), signal, () => leftError(false)));
    const replies = await connection.exchange(requests, signal);
    if (!replies.some(({ code }) => code === CODE.sessionExpired || code === CODE.sessionMoved)) return replies;
    connection.end("expired");
    this.#forget();
    throw sessionError(connection.server);
  }

  /** One attempt for all that wait for it. */
  #open(): Promise<Connection> {
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  /** Asks each server once, beginning where it went well last; one that fell silent is the last to be asked. */
  async #connect(): Promise<Connection> {
    const { servers, clock, log } = this.#options;
    if (this.#connection?.ending === "silent") this.#pass();
    this.#connection = null;
    // No server keeps a session longer; nor is it the servers' fault then when they are behind what it has seen.
    if (clock.monotonicMs() - this.#heardMs > this.#timeoutMs) this.#forget();
    let failure = connectError(this.#next().name, null);
    for (let asked = 0; asked < servers.length; asked++) {
      try {
        return await this.#connectTo(this.#next());
      } catch (error) {
        if (!(error instanceof ZooKeeperError) || error.code === "closed") throw error;
        failure = error;
        const { name: server } = this.#next();
        if (!this.#failing.has(server)) log.warn("zookeeper server fails", { server, error: error.message });
        this.#failing.add(server);
        this.#pass();
      }
    }
    throw failure;
  }

  async #connectTo(server: Server): Promise<Connection> {
    let greeted = await this.#greet(server);
    if (greeted.welcome.timeoutMs === null) {
      // The session is over, and this connection with it.
      greeted.socket.destroy();
      this.#forget();
      greeted = await this.#greet(server);
    }
    const { identity, timeoutMs } = greeted.welcome;
    if (timeoutMs === null) {
      greeted.socket.destroy();
      throw connectError(server.name, new Error("it gives no session"));
    }
    const { clock } = this.#options;
    this.#failing.delete(server.name);
    this.#identity = identity;
    this.#timeoutMs = timeoutMs;
    this.#heardMs = clock.monotonicMs();
    const heard = (zxid: bigint): void => {
      if (zxid > this.#zxid) this.#zxid = zxid;
      this.#heardMs = clock.monotonicMs();
    };
    const answerMs = this.#answerMs();
    const connection = new Connection(greeted, { server: server.name, clock, answerMs, timeoutMs, heard });
    // Closed in the same turn in which the connection came.
    if (this.#leaving.signal.aborted) connection.end("closed");
    this.#connection = connection;
    return connection;
  }

  #greet(server: Server): Promise<Greeted> {
    const { clock, servers, timeoutMs } = this.#options;
    const connectMs = Math.max(CONNECT_MS_MIN, Math.floor(this.#answerMs() / servers.length));
    const greeting = { identity: this.#identity, zxid: this.#zxid, timeoutMs };
    return greet({ server, clock, connectMs, greeting, leaving: this.#leaving.signal });
  }

  /** A server that says nothing for two thirds of the timeout is given up, so that there is time left for another one. */
  #answerMs(): number {
    return Math.min(ANSWER_MS_MAX, Math.floor((this.#timeoutMs * 2) / 3));
  }

  #forget(): void {
    this.#identity = NOBODY;
    this.#zxid = 0n;
  }

  #pass(): void {
    this.#place = (this.#place + 1) % this.#options.servers.length;
  }

  #next(): Server {
    const server = this.#options.servers[this.#place];
    assert(server !== undefined, "the place is within the servers");
    return server;
  }
}
