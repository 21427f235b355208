// Runs a call over a connection of the pool: within its time, until its caller leaves, again where nothing was written and
// another attempt may fare better. Knows no SQL but what the task brings.
import { type Clock, sleep, type Timer } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { type Again, leftError, MysqlError } from "./failures.ts";
import type { Pool } from "./pool.ts";
import type { Session } from "./session.ts";

export interface RunnerOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly random: Random;
  /** Longest that a call waits for its answer, the waiting for a connection included. */
  readonly timeoutMs: number;
}

export interface Work<T> {
  readonly effect: "read" | "write";
  readonly signal: AbortSignal;
  /** Does the work. Runs again from its beginning, over another connection, where an attempt was undone. */
  readonly task: (session: Session) => Promise<T>;
}

/** Attempts of a call by what the latest one met, the first one included. */
const ATTEMPTS_MAX: Readonly<Record<Again, number>> = { conflict: 8, connection: 3, elsewhere: 2 };
const CONFLICT_PAUSE_FIRST_MS = 5;
/** How long a write whose caller has left may go on, so that its end is known; then its connection is cut. */
const LEFT_CUT_MS = 1000;

export class Runner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Rejects with a StoreError. */
  async run<T>(work: Work<T>): Promise<T> {
    const { clock, random, timeoutMs } = this.#options;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    for (let made = 1; ; made++) {
      try {
        return await this.#attempt(work, deadlineMs);
      } catch (error) {
        if (!(error instanceof MysqlError) || error.again === null || made >= ATTEMPTS_MAX[error.again]) throw error;
        const pauseMs = error.again === "conflict" ? CONFLICT_PAUSE_FIRST_MS * 2 ** made * random.fraction() : 0;
        if (clock.monotonicMs() + pauseMs >= deadlineMs || !(await sleep(clock, pauseMs, work.signal))) throw error;
      }
    }
  }

  async #attempt<T>(work: Work<T>, deadlineMs: number): Promise<T> {
    const { pool, clock } = this.#options;
    const session = await pool.acquire(work.signal, Math.max(0, deadlineMs - clock.monotonicMs()));
    let timer: Timer = clock.after(deadlineMs - clock.monotonicMs(), () => session.destroy("silent"));
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        timer.cancel();
        timer = clock.after(LEFT_CUT_MS, () => session.destroy("left"));
        // Nobody waits for what a read finds; what becomes of a write is told all the same.
        if (work.effect === "read") reject(leftError());
      };
      const settle = (): void => {
        work.signal.removeEventListener("abort", leave);
        timer.cancel();
        pool.release(session);
      };
      work.signal.addEventListener("abort", leave, { once: true });
      work.task(session).then(
        (result) => {
          settle();
          resolve(result);
        },
        (error: unknown) => {
          if (error instanceof MysqlError && error.again === "elsewhere") pool.retire(session);
          settle();
          reject(error);
        },
      );
    });
  }
}
