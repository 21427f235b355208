// Runs calls of the client library for the store: gives each its time, ends those that nobody waits for, tries throttled
// ones again. Knows no document.
import type { ClientSession, MongoClient } from "mongodb";
import { type Clock, sleep } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { Call } from "../store.ts";
import { abandonedError, closedError, type Ending, failureOf, leftError, MongodbError } from "./failures.ts";

export interface CallsOptions {
  readonly client: MongoClient;
  /** "127.0.0.1:27017". */
  readonly server: string;
  readonly timeoutMs: number;
  /** The server has sessions, so that the client repeats a write whose answer was lost, and the server knows it again. */
  readonly sessions: boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/** What a call may use while it runs. */
export interface Attempt {
  /** For a single write; absent where the server has no sessions, and for reads. */
  readonly session?: ClientSession;
  /** "127.0.0.1:27017". */
  readonly server: string;
  /** Aborts when nobody waits any more. */
  readonly signal: AbortSignal;
  /** What is left of the call's time. */
  leftMs(): number;
  /** The error of a piece of the call as a StoreError; for pieces of a transaction. */
  failure(error: unknown, isWrite: boolean): Error;
}

export interface Work<T> {
  readonly isWrite: boolean;
  readonly call: Call;
  readonly task: (attempt: Attempt) => Promise<T>;
  /** Whether another attempt may be made after "conflict" too. */
  readonly again?: boolean;
}

/** Attempts that a call may make, those over new connections, and the pause before the second; it doubles to the longest. */
const ATTEMPTS_MAX = 50;
const CONNECTIONS_MAX = 3;
const PAUSE_MS = 5;
const PAUSE_MS_MAX = 250;

export class Calls {
  readonly #options: CallsOptions;
  readonly #waiting = new Set<(ending: Ending) => void>();
  #closed = false;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /** Gives what `task` gives, or rejects with a StoreError: the task's, or one that says why nobody waits for it. */
  run<T>({ isWrite, call, task, again = false }: Work<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closedError());
    if (call.signal.aborted) return Promise.reject(leftError());
    const { clock, timeoutMs, server } = this.#options;
    const leaving = new AbortController();
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        timer.cancel();
        call.signal.removeEventListener("abort", leave);
        this.#waiting.delete(abandon);
      };
      const abandon = (ending: Ending): void => {
        settle();
        reject(abandonedError(ending, server, isWrite));
        leaving.abort();
      };
      const leave = (): void => abandon("left");
      call.signal.addEventListener("abort", leave, { once: true });
      this.#waiting.add(abandon);
      const timer = clock.after(timeoutMs, () => abandon("silent"));
      this.#attempts({ isWrite, task, again, signal: leaving.signal }).then(
        (value) => {
          settle();
          resolve(value);
        },
        (error) => {
          settle();
          reject(error);
        },
      );
    });
  }

  /** Rejects the calls under way and all to come. May be called again. */
  close(): void {
    this.#closed = true;
    for (const abandon of this.#waiting) abandon("closed");
  }

  async #attempts<T>(work: {
    isWrite: boolean;
    task: Work<T>["task"];
    again: boolean;
    signal: AbortSignal;
  }): Promise<T> {
    const { clock, random, timeoutMs } = this.#options;
    const endMs = clock.monotonicMs() + timeoutMs;
    const leftMs = (): number => Math.max(1, Math.ceil(endMs - clock.monotonicMs()));
    for (let made = 1; ; made++) {
      try {
        return await this.#attempt(work, leftMs);
      } catch (error) {
        if (!(error instanceof MongodbError) || made >= attemptsAfter(error, work.again)) throw error;
        const longest = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** made);
        const pauseMs = error.afterMs ?? longest * (0.5 + random.fraction() / 2);
        if (pauseMs >= leftMs() || !(await sleep(clock, pauseMs, work.signal))) throw error;
      }
    }
  }

  async #attempt<T>(
    { isWrite, task, signal }: { isWrite: boolean; task: Work<T>["task"]; signal: AbortSignal },
    leftMs: () => number,
  ): Promise<T> {
    const { client, server, sessions } = this.#options;
    const failure = (error: unknown, write: boolean): Error =>
      failureOf({ error, server, isWrite: write, repeated: false });
    const rest = { server, signal, leftMs, failure };
    if (!isWrite || !sessions) {
      return task(rest).catch((error: unknown) => {
        throw failure(error, isWrite);
      });
    }
    const session = client.startSession({ causalConsistency: false });
    // The client counts a session's writes up when it begins one that it may send twice.
    const { txnNumber } = session.serverSession;
    const retire = (): void => retireSession(session);
    signal.addEventListener("abort", retire, { once: true });
    try {
      return await task({ ...rest, session });
    } catch (error) {
      throw failureOf({ error, server, isWrite, repeated: session.serverSession.txnNumber !== txnNumber });
    } finally {
      signal.removeEventListener("abort", retire);
      // Gives it back to the library's pool; a transaction that is still open is undone.
      await session.endSession();
    }
  }
}

/**
 * The client sends nothing more by a session that has ended: what nobody waits for is not sent a second time, over what the
 * caller has written since. Not within a transaction, whose next command would go out without it: that looks for itself.
 */
function retireSession(session: ClientSession): void {
  // The server may be at work with it still, and would let the next one wait.
  session.serverSession.isDirty = true;
  if (!session.inTransaction()) void session.endSession();
}

/** How many attempts a call may make that ended so. */
function attemptsAfter({ again }: MongodbError, conflicts: boolean): number {
  if (again === null || (again === "conflict" && !conflicts)) return 1;
  return again === "connection" ? CONNECTIONS_MAX : ATTEMPTS_MAX;
}
