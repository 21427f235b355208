// Runs a call over a connection of the pool: within its time, until its caller leaves, again where nothing was written and
// another attempt may fare better. Knows no SQL but what the task brings.
import { type Clock, sleep, type Timer } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { type Again, leftError, PostgresError } from "./failures.ts";
import type { Pool } from "./pool.ts";
import type { Session } from "./session.ts";

export type Effect = "read" | "write";

export interface RunnerOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly random: Random;
  /** Longest that a call waits for its answer, the waiting for a connection included. */
  readonly timeoutMs: number;
}

export interface Work<T> {
  readonly effect: Effect;
  readonly signal: AbortSignal;
  /** In place of the store's own. */
  readonly timeoutMs?: number;
  /** Does the work. Runs again from its beginning, over another connection, where an attempt was undone. */
  readonly task: (session: Session) => Promise<T>;
}

/** Attempts of a call by what the latest one met, the first one included. */
const ATTEMPTS_MAX: Readonly<Record<Again, number>> = { conflict: 8, connection: 3, elsewhere: 2 };
const CONFLICT_PAUSE_FIRST_MS = 5;
/** The server is asked to stop so long before the time is up, so that its answer tells what became of a write. */
const CANCEL_EARLY_MS = 1000;
/** A call whose caller has left may end by itself for so long, then the server is asked to stop it. */
const LEFT_CANCEL_MS = 200;
/** And after so long its connection is cut. */
const LEFT_CUT_MS = 1000;

export class Runner {
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Rejects with a StoreError. */
  async run<T>(work: Work<T>): Promise<T> {
    const { clock, random } = this.#options;
    const deadlineMs = clock.monotonicMs() + (work.timeoutMs ?? this.#options.timeoutMs);
    for (let made = 1; ; made++) {
      try {
        return await this.#attempt(work, deadlineMs);
      } catch (error) {
        if (!(error instanceof PostgresError) || !mayRepeat(error, made)) throw error;
        const pauseMs = error.again === "conflict" ? CONFLICT_PAUSE_FIRST_MS * 2 ** made * random.fraction() : 0;
        if (clock.monotonicMs() + pauseMs >= deadlineMs || !(await sleep(clock, pauseMs, work.signal))) throw error;
      }
    }
  }

  async #attempt<T>(work: Work<T>, deadlineMs: number): Promise<T> {
    const { pool, clock } = this.#options;
    const session = await pool.acquire(work.signal, Math.max(0, deadlineMs - clock.monotonicMs()));
    const watch = new Watch(session, clock);
    watch.until(deadlineMs);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        watch.left();
        // Nobody waits for what a read finds; what becomes of a write is told all the same.
        if (work.effect === "read") reject(leftError());
      };
      const settle = (): void => {
        work.signal.removeEventListener("abort", leave);
        watch.end();
        pool.release(session);
      };
      work.signal.addEventListener("abort", leave, { once: true });
      work.task(session).then(
        (result) => {
          settle();
          resolve(result);
        },
        (error: unknown) => {
          if (error instanceof PostgresError && error.again === "elsewhere") pool.retire(session);
          settle();
          reject(error);
        },
      );
    });
  }
}

function mayRepeat({ again }: PostgresError, made: number): boolean {
  return again !== null && made < ATTEMPTS_MAX[again];
}

/** Ends a session's work in two steps: asks the server to stop, and cuts the connection when that does not help. */
class Watch {
  readonly #session: Session;
  readonly #clock: Clock;
  #timer: Timer | null = null;

  constructor(session: Session, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
  }

  until(deadlineMs: number): void {
    const leftMs = deadlineMs - this.#clock.monotonicMs();
    const earlyMs = Math.min(CANCEL_EARLY_MS, leftMs / 4);
    this.#plan(leftMs - earlyMs, () => {
      this.#session.cancel();
      this.#plan(earlyMs, () => this.#session.destroy("silent"));
    });
  }

  left(): void {
    this.#plan(LEFT_CANCEL_MS, () => {
      this.#session.cancel();
      this.#plan(LEFT_CUT_MS - LEFT_CANCEL_MS, () => this.#session.destroy("left"));
    });
  }

  end(): void {
    this.#timer?.cancel();
  }

  #plan(delayMs: number, task: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(delayMs, task);
  }
}
