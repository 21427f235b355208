// One connection to one server: requests go out as they come, answers come back in that order. Made when it is first needed
// and again when it was lost. Knows no command.
import { connect, type Socket } from "node:net";
import type { Clock, Timer } from "#kit/clock.ts";
import { unlessLeft } from "#kit/leaving.ts";
import { closedError, connectError, type Ending, leftError, lossError, MemcachedError } from "./failures.ts";
import type { Host } from "./hosts.ts";
import { type Reply, ReplyReader } from "./protocol.ts";

export interface LinkOptions {
  readonly host: Host;
  /** Longest wait for a connection, and for an answer. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

export interface Request {
  readonly bytes: Buffer;
  readonly isWrite: boolean;
  /** The first word of the reply that is the last one; null: there is only one. */
  readonly until: string | null;
}

interface Waiting {
  readonly request: Request;
  readonly deadlineMs: number;
  readonly replies: Reply[];
  readonly resolve: (replies: readonly Reply[]) => void;
  readonly reject: (error: MemcachedError) => void;
}

/** Requests of one connection that wait for their answers; more are refused at once. */
const WAITING_MAX = 16_384;

export class Link {
  readonly #options: LinkOptions;
  #opening: Promise<Connection> | null = null;
  #connection: Connection | null = null;
  readonly #leaving = new AbortController();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get server(): string {
    return this.#options.host.name;
  }

  /** Gives the replies to a request. A read whose connection breaks is sent once more. Rejects with a MemcachedError. */
  async send(request: Request, signal: AbortSignal): Promise<readonly Reply[]> {
    try {
      return await this.#attempt(request, signal);
    } catch (error) {
      if (!(error instanceof MemcachedError) || !error.repeatable) throw error;
      return this.#attempt(request, signal);
    }
  }

  /** Ends the connection at once; requests under way reject. May be called again. */
  close(): void {
    this.#leaving.abort();
    this.#connection?.end("closed");
  }

  async #attempt(request: Request, signal: AbortSignal): Promise<readonly Reply[]> {
    if (this.#leaving.signal.aborted) throw closedError();
    if (signal.aborted) throw leftError(false);
    const open = this.#connection?.isOpen === true ? this.#connection : null;
    // Nothing was sent by then.
    const connection = open ?? (await unlessLeft(this.#open(), signal, () => leftError(false)));
    return connection.send(request, signal);
  }

  /** One attempt for all that wait for it. */
  #open(): Promise<Connection> {
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<Connection> {
    const { host, timeoutMs, clock } = this.#options;
    const socket = await openSocket(host, timeoutMs, clock, this.#leaving.signal);
    const connection = new Connection(socket, this.#options);
    // Closed in the same turn in which the connection came.
    if (this.#leaving.signal.aborted) connection.end("closed");
    this.#connection = connection;
    return connection;
  }
}

function openSocket(
  { host, port, name }: Host,
  timeoutMs: number,
  clock: Clock,
  leaving: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const fail = (error: MemcachedError): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const broken = (error: Error): void => fail(connectError(name, error));
    const close = (): void => fail(closedError());
    const timer = clock.after(timeoutMs, () => fail(connectError(name, new Error(`no answer within ${timeoutMs} ms`))));
    const settle = (): void => {
      timer.cancel();
      leaving.removeEventListener("abort", close);
      socket.removeListener("error", broken);
    };
    leaving.addEventListener("abort", close, { once: true });
    socket.once("error", broken);
    socket.once("connect", () => {
      settle();
      resolve(socket);
    });
  });
}

class Connection {
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #waiting: Waiting[] = [];
  readonly #reader = new ReplyReader();
  #timer: Timer | null = null;
  #ending: Ending | null = null;
  #corked = false;

  constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    // "close" follows every error.
    socket.on("error", () => this.end("broken"));
    socket.on("close", () => this.end("broken"));
  }

  get isOpen(): boolean {
    return this.#ending === null;
  }

  send(request: Request, signal: AbortSignal): Promise<readonly Reply[]> {
    const { host, clock, timeoutMs } = this.#options;
    if (this.#ending !== null) return Promise.reject(lossError(this.#ending, host.name, false));
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(
        new MemcachedError("unavailable", `${WAITING_MAX} requests wait for memcached at ${host.name}`),
      );
    return new Promise((resolve, reject) => {
      // Who leaves is not waited for; the place in the order stays, for the answer will come.
      const leave = (): void => reject(leftError(request.isWrite));
      const settle = (): void => signal.removeEventListener("abort", leave);
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push({
        request,
        deadlineMs: clock.monotonicMs() + timeoutMs,
        replies: [],
        resolve: (replies) => {
          settle();
          resolve(replies);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      this.#write(request.bytes);
      this.#watch();
    });
  }

  end(ending: Ending): void {
    if (this.#ending !== null) return;
    this.#ending = ending;
    this.#timer?.cancel();
    this.#socket.destroy();
    for (const { request, reject } of this.#waiting.splice(0))
      reject(lossError(ending, this.#options.host.name, request.isWrite));
  }

  /** What is asked for in one turn leaves in one piece. */
  #write(bytes: Buffer): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  #read(chunk: Buffer): void {
    if (this.#ending !== null) return;
    try {
      for (const reply of this.#reader.read(chunk)) this.#take(reply);
    } catch {
      // The reader's words tell a programmer more than an operator: what matters is that this is no memcached.
      this.end("garbled");
    }
  }

  #take(reply: Reply): void {
    const [head] = this.#waiting;
    if (head === undefined) throw new Error("a reply that nobody asked for");
    head.replies.push(reply);
    const { until } = head.request;
    if (until !== null && reply.words[0] !== until && !isRefusal(reply)) return;
    this.#waiting.shift();
    head.resolve(head.replies);
  }

  /** One timer for all: it looks at the request that has waited the longest. */
  #watch(): void {
    const [head] = this.#waiting;
    if (this.#timer !== null || head === undefined) return;
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(0, head.deadlineMs - clock.monotonicMs()), () => {
      this.#timer = null;
      const [oldest] = this.#waiting;
      if (oldest !== undefined && oldest.deadlineMs <= clock.monotonicMs()) this.end("silent");
      else this.#watch();
    });
  }
}

/** The server did not take the command. */
export function isRefusal({ words }: Reply): boolean {
  return words[0] === "ERROR" || words[0] === "CLIENT_ERROR" || words[0] === "SERVER_ERROR";
}
