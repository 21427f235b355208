// One connection with a session on it: requests as they come, answers in that order, a sign of life when nothing else is
// said. Knows no operation, and not what comes after its end.
import type { Socket } from "node:net";
import type { Clock, Timer } from "#kit/clock.ts";
import { type Ending, leftError, lossError, ZooKeeperError } from "./failures.ts";
import type { Greeted } from "./greeting.ts";
import type { FrameReader } from "./jute.ts";
import { closeSession, exists, numberFrame, type Reply, type Request, readReply } from "./messages.ts";

export interface ConnectionOptions {
  /** "zk-0:2181" */
  readonly server: string;
  readonly clock: Clock;
  /** Longest wait for an answer. */
  readonly answerMs: number;
  /** After so long without a word the server takes the session for dead. */
  readonly timeoutMs: number;
  /** Told with every answer: the last transaction that the server knew. */
  readonly heard: (zxid: bigint) => void;
}

/** Requests that left together. */
interface Waiting {
  readonly requests: readonly Request[];
  /** Number of the first; the others follow it. */
  readonly firstXid: number;
  /** As they come; one for each request in the end. */
  readonly replies: Reply[];
  readonly deadlineMs: number;
  readonly resolve: (replies: readonly Reply[]) => void;
  readonly reject: (error: ZooKeeperError) => void;
}

/** Requests of one connection that wait for their answers; more are refused at once. */
const WAITING_MAX = 16_384;
/** Longest that a connection takes to say farewell. */
const FAREWELL_MS = 1000;
/** Signs of life in the time after which the server takes the session for dead. */
const SIGNS = 3;
/** Numbers from here on begin anew; the server only repeats them. */
const XID_MAX = 2 ** 31 - 1;

export class Connection {
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #options: ConnectionOptions;
  readonly #waiting: Waiting[] = [];
  /** Requests that wait, those of `#waiting` together. */
  #count = 0;
  #nextXid = 1;
  #deadline: Timer | null = null;
  #sign: Timer | null = null;
  #ending: Ending | null = null;
  #corked = false;

  constructor({ socket, reader }: Greeted, options: ConnectionOptions) {
    this.#socket = socket;
    this.#reader = reader;
    this.#options = options;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    // It follows every error.
    socket.on("close", () => this.end("broken"));
    this.#showLife();
  }

  /** How it ended; null while it is open. */
  get ending(): Ending | null {
    return this.#ending;
  }

  get server(): string {
    return this.#options.server;
  }

  /** Sends requests in one piece and gives an answer for each. Rejects with a ZooKeeperError. */
  exchange(requests: readonly Request[], signal: AbortSignal): Promise<readonly Reply[]> {
    if (this.#ending !== null) return Promise.reject(lossError(this.#ending, this.server, false));
    if (this.#count + requests.length > WAITING_MAX)
      return Promise.reject(
        new ZooKeeperError("unavailable", `${this.#count} requests wait for ZooKeeper at ${this.server}`),
      );
    return new Promise((resolve, reject) => {
      // Who leaves is not waited for; the place in the order stays, for the answers will come.
      const leave = (): void => reject(leftError(isWrite(requests)));
      const settle = (): void => signal.removeEventListener("abort", leave);
      signal.addEventListener("abort", leave, { once: true });
      this.#enqueue({
        requests,
        resolve: (replies) => {
          settle();
          resolve(replies);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
    });
  }

  end(ending: Ending): void {
    this.#settle(ending);
    this.#socket.destroy();
  }

  /** Ends the session too, so that the server need not keep it until its timeout; requests under way reject at once. */
  close(): Promise<void> {
    const socket = this.#socket;
    const isOpen = this.#settle("closed");
    if (socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(FAREWELL_MS, () => socket.destroy());
      socket.once("close", () => {
        timer.cancel();
        resolve();
      });
      if (isOpen) socket.end(closeSession());
    });
  }

  /** Whether it was open until now. */
  #settle(ending: Ending): boolean {
    if (this.#ending !== null) return false;
    this.#ending = ending;
    this.#deadline?.cancel();
    this.#sign?.cancel();
    for (const { requests, reject } of this.#waiting.splice(0))
      reject(lossError(ending, this.server, isWrite(requests)));
    return true;
  }

  #enqueue({ requests, resolve, reject }: Pick<Waiting, "requests" | "resolve" | "reject">): void {
    const { clock, answerMs } = this.#options;
    if (this.#nextXid > XID_MAX - requests.length) this.#nextXid = 1;
    const firstXid = this.#nextXid;
    this.#nextXid += requests.length;
    this.#count += requests.length;
    const deadlineMs = clock.monotonicMs() + answerMs;
    this.#waiting.push({ requests, firstXid, replies: [], deadlineMs, resolve, reject });
    this.#cork();
    for (const [index, { frame }] of requests.entries()) {
      numberFrame(frame, firstXid + index);
      this.#socket.write(frame);
    }
    this.#watch();
    this.#showLife();
  }

  /** What is asked for in one turn leaves in one piece. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  #read(chunk: Buffer): void {
    if (this.#ending !== null) return;
    try {
      for (const frame of this.#reader.read(chunk)) this.#take(frame);
    } catch {
      // The reader's words tell a programmer more than an operator: what matters is that this is no ZooKeeper.
      this.end("garbled");
    }
  }

  #take(frame: Buffer): void {
    const { xid, zxid, reply } = readReply(frame);
    const [head] = this.#waiting;
    if (head === undefined || xid !== head.firstXid + head.replies.length) throw new Error("an answer out of order");
    this.#options.heard(zxid);
    head.replies.push(reply);
    this.#count--;
    if (head.replies.length < head.requests.length) return;
    this.#waiting.shift();
    head.resolve(head.replies);
  }

  /** One timer for all: it looks at what has waited the longest. */
  #watch(): void {
    const [head] = this.#waiting;
    if (this.#deadline !== null || head === undefined) return;
    const { clock } = this.#options;
    this.#deadline = clock.after(Math.max(0, head.deadlineMs - clock.monotonicMs()), () => {
      this.#deadline = null;
      const [oldest] = this.#waiting;
      if (oldest !== undefined && oldest.deadlineMs <= clock.monotonicMs()) this.end("silent");
      else this.#watch();
    });
  }

  /** Whatever is sent counts as a sign of life; a server that does not answer it has gone. */
  #showLife(): void {
    const { clock, timeoutMs } = this.#options;
    this.#sign?.cancel();
    this.#sign = clock.after(timeoutMs / SIGNS, () => {
      const ignore = (): void => undefined;
      // Its failure is the connection's end, and known by then.
      this.#enqueue({ requests: [exists("/")], resolve: ignore, reject: ignore });
    });
  }
}

function isWrite(requests: readonly Request[]): boolean {
  return requests.some((request) => request.isWrite);
}
