// Runs a call over a connection of the pool: within its time, until its caller leaves, again where nothing was written and
// another attempt may fare better. Knows no SQL but what the task brings.
import { type Clock, sleep, type Timer } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { type Again, type Ending, leftError, SqlError } from "./failure.ts";
import type { Pool, PooledSession } from "./pool.ts";

export interface RunnableSession extends PooledSession {
  /**
   * Gives up the statement under way, if there is one: it rejects at once according to `ending`. Where the server can be
   * asked to stop it the connection stays of use, and resolves `idle` when that has happened; else the connection ends.
   */
  interrupt(ending: Ending): void;
  /** Null when nothing is under way; else resolves when nothing is any more, or when the connection is gone. */
  readonly idle: Promise<void> | null;
}

export interface RunnerOptions<S extends RunnableSession> {
  readonly pool: Pool<S>;
  /**
   * The server can be asked to stop a statement. Else its connection is cut with it, and a read that nobody waits for
   * gets the time of a write to come to its end.
   */
  readonly canStop: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Longest that a call waits for its answer, the waiting for a connection included. */
  readonly timeoutMs: number;
}

export interface Work<S, T> {
  readonly effect: "read" | "write";
  readonly signal: AbortSignal;
  /** Does the work. Runs again from its beginning, over another connection, where an attempt was undone. */
  readonly task: (session: S) => Promise<T>;
}

/** Attempts of a call by what the latest one met, the first one included. */
const ATTEMPTS_MAX: Readonly<Record<Again, number>> = { conflict: 8, connection: 3, elsewhere: 2 };
const CONFLICT_PAUSE_FIRST_MS = 5;
/** How long a statement whose caller has left may go on, so that the end of a write is known; then it is given up. */
const LEFT_CUT_MS = 1000;

export class Runner<S extends RunnableSession> {
  readonly #options: RunnerOptions<S>;

  constructor(options: RunnerOptions<S>) {
    this.#options = options;
  }

  /** Rejects with a StoreError. */
  async run<T>(work: Work<S, T>): Promise<T> {
    const { clock, random, timeoutMs } = this.#options;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    for (let made = 1; ; made++) {
      try {
        return await this.#attempt(work, deadlineMs);
      } catch (error) {
        if (!(error instanceof SqlError) || error.again === null || made >= ATTEMPTS_MAX[error.again]) throw error;
        const pauseMs = error.again === "conflict" ? CONFLICT_PAUSE_FIRST_MS * 2 ** made * random.fraction() : 0;
        if (clock.monotonicMs() + pauseMs >= deadlineMs || !(await sleep(clock, pauseMs, work.signal))) throw error;
      }
    }
  }

  async #attempt<T>(work: Work<S, T>, deadlineMs: number): Promise<T> {
    const { pool, canStop, clock } = this.#options;
    const session = await pool.acquire(work.signal, Math.max(0, deadlineMs - clock.monotonicMs()));
    let timer: Timer = clock.after(deadlineMs - clock.monotonicMs(), () => session.interrupt("silent"));
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        timer.cancel();
        // Nobody waits for what a read finds; what becomes of a write is told all the same.
        if (work.effect === "read") reject(leftError());
        if (work.effect === "read" && canStop) session.interrupt("left");
        else timer = clock.after(LEFT_CUT_MS, () => session.interrupt("left"));
      };
      const settle = (): void => {
        work.signal.removeEventListener("abort", leave);
        timer.cancel();
        this.#giveBack(session);
      };
      work.signal.addEventListener("abort", leave, { once: true });
      work.task(session).then(
        (result) => {
          settle();
          resolve(result);
        },
        (error: unknown) => {
          if (error instanceof SqlError && error.again === "elsewhere") pool.retire(session);
          settle();
          reject(error);
        },
      );
    });
  }

  #giveBack(session: S): void {
    const { pool } = this.#options;
    if (session.idle === null) pool.release(session);
    else void session.idle.then(() => pool.release(session));
  }
}
