// The connections of one store: made when they are needed, at most so many, with a bounded queue before them. While the
// server is known to be down, calls fail at once. Knows no statement. pg's own pool has no bound on its queue, no way to
// leave it, rejects where a connection would soon be free, and waits at its end for servers that hang.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { closedError, leftError, PostgresError } from "./failures.ts";
import type { Session } from "./session.ts";

export interface PoolOptions {
  /** As errors and logs call the server. */
  readonly product: string;
  /** Makes a connection, or rejects with a PostgresError and leaves nothing open. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  readonly maxConns: number;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Calls that may wait for a connection; one more is refused, so that a slow server cannot fill memory. */
export const WAITING_MAX = 4096;
const RETRY_FIRST_MS = 50;
const RETRY_LONGEST_MS = 2000;
/** How long `close` waits for farewells before it goes on without them. */
const CLOSE_WAIT_MS = 1000;

interface Waiter {
  readonly take: (session: Session) => void;
  readonly fail: (error: PostgresError) => void;
}

interface Idle {
  readonly session: Session;
  readonly sinceMs: number;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #leaving = new AbortController();
  /** Every connection that stands, busy or idle. */
  readonly #sessions = new Set<Session>();
  /** The one that was used last is at the end, and is used first. */
  #idle: Idle[] = [];
  /** In order of arrival; a set, because a caller that leaves is taken out of the middle. */
  readonly #waiting = new Set<Waiter>();
  #connecting = 0;
  /** Why the last attempt to connect failed, while no connection stands; null while none has failed since. */
  #down: PostgresError | null = null;
  #failures = 0;
  #retryAtMs = 0;
  #sweep: Timer | null = null;
  /** Connections that were opened before are of no use any more. */
  #freshFromMs = 0;

  private constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Makes the first connection, or rejects with a PostgresError and leaves nothing open. */
  static async open(options: PoolOptions, signal: AbortSignal): Promise<Pool> {
    const pool = new Pool(options);
    const session = await options.connect(signal);
    pool.#keep(session);
    pool.#putBack(session);
    return pool;
  }

  /**
   * A connection of the caller's own, to be given back by {@link release}. Rejects with a PostgresError: at once while the
   * server is down, else when the caller leaves or `waitMs` have passed.
   */
  acquire(signal: AbortSignal, waitMs: number): Promise<Session> {
    if (this.#leaving.signal.aborted) return Promise.reject(closedError());
    if (signal.aborted) return Promise.reject(leftError());
    const free = this.#takeIdle();
    if (free !== null) return Promise.resolve(free);
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiting.delete(waiter);
        timer.cancel();
        signal.removeEventListener("abort", leave);
      };
      const waiter: Waiter = {
        take: (session) => {
          settle();
          resolve(session);
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      const leave = (): void => waiter.fail(leftError());
      const timer = this.#options.clock.after(waitMs, () => waiter.fail(this.#tooLate()));
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.add(waiter);
      this.#grow();
    });
  }

  /** Takes a connection back; one that cannot be used again is ended. */
  release(session: Session): void {
    const isOld =
      session.openedMs < this.#freshFromMs ||
      this.#options.clock.monotonicMs() - session.openedMs > this.#options.lifetimeMs;
    if (this.#leaving.signal.aborted || isOld || !session.reusable) {
      if (session.alive && session.reusable) session.close();
      else session.destroy("broken");
      return;
    }
    const [next] = this.#waiting;
    if (next === undefined) this.#putBack(session);
    else next.take(session);
  }

  /** Called for a connection whose server takes no writes: ends all that stand, the busy ones after their use. */
  retire(session: Session): void {
    // Another call has found that out before, and what was made since may be of use.
    if (session.openedMs < this.#freshFromMs) return;
    this.#freshFromMs = this.#options.clock.monotonicMs();
    for (const idle of this.#idle.splice(0)) idle.session.close();
  }

  /** Ends everything; what is under way rejects. May be called again. */
  async close(): Promise<void> {
    if (!this.#leaving.signal.aborted) {
      this.#leaving.abort();
      this.#sweep?.cancel();
      for (const waiter of [...this.#waiting]) waiter.fail(closedError());
      for (const { session } of this.#idle.splice(0)) session.close();
      for (const session of this.#sessions) if (session.alive) session.destroy("closed");
    }
    let timer: Timer | null = null;
    const late = new Promise<void>((resolve) => {
      timer = this.#options.clock.after(CLOSE_WAIT_MS, resolve);
    });
    const farewells = Promise.all([...this.#sessions].map((session) => session.ended));
    await Promise.race([farewells, late]);
    (timer as Timer | null)?.cancel();
  }

  #takeIdle(): Session | null {
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      if (last.session.reusable) return last.session;
    }
    return null;
  }

  #refusal(): PostgresError | null {
    if (this.#waiting.size >= WAITING_MAX) {
      return new PostgresError(
        "unavailable",
        `${this.#options.product} is too slow: ${WAITING_MAX} calls wait for a connection`,
      );
    }
    if (this.#down === null || this.#sessions.size > 0) return null;
    // One call at a time finds out whether the server is back; all others need not wait for that.
    const isTried = this.#connecting > 0 || this.#options.clock.monotonicMs() < this.#retryAtMs;
    return isTried ? this.#down : null;
  }

  /** Makes as many connections as are waited for, within the limit. */
  #grow(): void {
    const { clock, maxConns } = this.#options;
    const wanted = this.#down === null ? this.#waiting.size : 1;
    if (this.#down !== null && clock.monotonicMs() < this.#retryAtMs) return;
    while (this.#connecting < wanted && this.#sessions.size + this.#connecting < maxConns) this.#connect();
  }

  #connect(): void {
    this.#connecting++;
    this.#options.connect(this.#leaving.signal).then(
      (session) => this.#connected(session),
      (error: unknown) => this.#failed(error),
    );
  }

  #connected(session: Session): void {
    this.#connecting--;
    if (this.#down !== null)
      this.#options.log.info(`${this.#options.product} connected again`, { server: session.server });
    this.#down = null;
    this.#failures = 0;
    this.#keep(session);
    this.release(session);
    if (!this.#leaving.signal.aborted) this.#grow();
  }

  #failed(error: unknown): void {
    this.#connecting--;
    if (this.#leaving.signal.aborted) return;
    const { clock, log, product } = this.#options;
    const failure =
      error instanceof PostgresError ? error : new PostgresError("unavailable", `cannot connect to ${product}`);
    if (this.#failures === 0) log.warn(`${product} cannot be reached`, { error: failure.message });
    this.#retryAtMs = clock.monotonicMs() + Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#failures++);
    this.#down = failure;
    // Where some connections stand, the waiting get theirs from those.
    if (this.#sessions.size > 0 || this.#connecting > 0) return;
    for (const waiter of [...this.#waiting]) waiter.fail(failure);
  }

  #keep(session: Session): void {
    this.#sessions.add(session);
    void session.ended.then(() => {
      this.#sessions.delete(session);
      this.#idle = this.#idle.filter((each) => each.session !== session);
      // Whoever waited for this one gets a new one.
      if (this.#waiting.size > 0) this.#afterLoss();
    });
  }

  #afterLoss(): void {
    const { clock } = this.#options;
    const waitMs = this.#down === null ? 0 : this.#retryAtMs - clock.monotonicMs();
    if (waitMs <= 0) this.#grow();
    else if (this.#sessions.size === 0 && this.#connecting === 0 && this.#down !== null)
      for (const waiter of [...this.#waiting]) waiter.fail(this.#down);
  }

  #putBack(session: Session): void {
    this.#idle.push({ session, sinceMs: this.#options.clock.monotonicMs() });
    this.#sweep ??= this.#options.clock.after(this.#options.idleMs, () => this.#endIdle());
  }

  /** Ends what was idle for too long; those that were used last stay longest, since they are used first. */
  #endIdle(): void {
    const { clock, idleMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const old = this.#idle.filter(({ sinceMs }) => nowMs - sinceMs >= idleMs);
    this.#idle = this.#idle.filter(({ sinceMs }) => nowMs - sinceMs < idleMs);
    for (const { session } of old) session.close();
    const [oldest] = this.#idle;
    this.#sweep = oldest === undefined ? null : clock.after(oldest.sinceMs + idleMs - nowMs, () => this.#endIdle());
  }

  #tooLate(): PostgresError {
    const { maxConns, product } = this.#options;
    return new PostgresError(
      "unavailable",
      `no connection to ${product} became free within timeout; all ${maxConns} are in use or cannot be made`,
    );
  }
}
