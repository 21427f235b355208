// Runs a call over a connection of the pool: within its time, until its caller leaves, again where nothing was written and
// another attempt may fare better. Knows no SQL but what the task brings.
import { type Clock, sleep, type Timer } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { type Again, type Ending, leftError, SqlError } from "./failure.ts";
import type { Pool, PooledSession } from "./pool.ts";

export interface RunnableSession extends PooledSession {
  /**
   * Asks the server to stop the statement under way, whose own answer then ends it and tells what became of a write. The
   * connection is not used again. Null where there is no such request.
   */
  readonly cancel: (() => void) | null;
  /** Gives up the statement under way, if there is one: it rejects at once according to `ending`. */
  interrupt(ending: Ending): void;
  /**
   * The connection outlives an interruption: the server can be told over it to stop, and `idle` resolves when that has
   * happened. Else it is cut, and a read that nobody waits for gets the time of a write to come to its end.
   */
  readonly outlives: boolean;
  /** Null when nothing is under way; else resolves when nothing is any more, or when the connection is gone. */
  readonly idle: Promise<void> | null;
}

export type Effect = "read" | "write";

export interface RunnerOptions<S extends RunnableSession> {
  readonly pool: Pool<S>;
  readonly clock: Clock;
  readonly random: Random;
  /** Longest that a call waits for its answer, the waiting for a connection included. */
  readonly timeoutMs: number;
}

export interface Work<S, T> {
  readonly effect: Effect;
  readonly signal: AbortSignal;
  /** In place of the runner's own. */
  readonly timeoutMs?: number;
  /** Does the work. Runs again from its beginning, over another connection, where an attempt was undone. */
  readonly task: (session: S) => Promise<T>;
}

/** Attempts of a call by what the latest one met, the first one included. */
const ATTEMPTS_MAX: Readonly<Record<Again, number>> = { conflict: 8, connection: 3, elsewhere: 2 };
const CONFLICT_PAUSE_FIRST_MS = 5;
/** The server is asked to stop so long before the time is up, so that its answer tells what became of a write. */
const CANCEL_EARLY_MS = 1000;
/** A statement whose caller has left may end by itself for so long, then the server is asked to stop it. */
const LEFT_CANCEL_MS = 200;
/** And after so long it is given up: by then the end of a write should be known. */
const LEFT_GIVE_UP_MS = 1000;

export class Runner<S extends RunnableSession> {
  readonly #options: RunnerOptions<S>;

  constructor(options: RunnerOptions<S>) {
    this.#options = options;
  }

  /** Rejects with a StoreError. */
  async run<T>(work: Work<S, T>): Promise<T> {
    const { clock, random } = this.#options;
    const deadlineMs = clock.monotonicMs() + (work.timeoutMs ?? this.#options.timeoutMs);
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
    const { pool, clock } = this.#options;
    const session = await pool.acquire(work.signal, Math.max(0, deadlineMs - clock.monotonicMs()));
    // Between the giving and the taking nobody listened.
    if (work.signal.aborted) {
      pool.release(session);
      throw leftError();
    }
    const watch = new Watch(session, clock);
    watch.until(deadlineMs);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        // Nobody waits for what a read finds; what becomes of a write is told all the same.
        if (work.effect === "read") reject(leftError());
        watch.left(work.effect);
      };
      const settle = (): void => {
        work.signal.removeEventListener("abort", leave);
        watch.end();
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

/** Brings the work of a session to its end when its time is up, or when its caller has left. */
class Watch {
  readonly #session: RunnableSession;
  readonly #clock: Clock;
  #timer: Timer | null = null;

  constructor(session: RunnableSession, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
  }

  until(deadlineMs: number): void {
    const leftMs = deadlineMs - this.#clock.monotonicMs();
    this.#stop("silent", leftMs - Math.min(CANCEL_EARLY_MS, leftMs / 4), leftMs);
  }

  left(effect: Effect): void {
    if (effect === "read" && this.#session.outlives) {
      this.end();
      this.#session.interrupt("left");
    } else this.#stop("left", LEFT_CANCEL_MS, LEFT_GIVE_UP_MS);
  }

  end(): void {
    this.#timer?.cancel();
  }

  /** Asks the server to stop after `cancelMs`, where it can be asked, and gives up after `giveUpMs`. */
  #stop(ending: Ending, cancelMs: number, giveUpMs: number): void {
    const giveUp = (): void => this.#session.interrupt(ending);
    if (this.#session.cancel === null) this.#plan(giveUpMs, giveUp);
    else
      this.#plan(cancelMs, () => {
        this.#session.cancel?.();
        this.#plan(giveUpMs - cancelMs, giveUp);
      });
  }

  #plan(delayMs: number, task: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(delayMs, task);
  }
}
