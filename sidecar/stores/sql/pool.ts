// The connections of one store: made when they are needed, at most so many, with a bounded queue before them. While the
// server is known to be down, calls fail at once. Knows no statement and no product.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { closedError, type Ending, leftError, SqlError } from "./failure.ts";

/** What a pool has to know of a connection. */
export interface PooledSession {
  /** As the log names it. */
  readonly server: string;
  /** By the clock's `monotonicMs`. */
  readonly openedMs: number;
  /** Nothing is under way, and the next user finds it as a new one. */
  readonly reusable: boolean;
  /** It has neither been told to end nor broken. */
  readonly alive: boolean;
  /** Resolves when the connection is gone. */
  readonly ended: Promise<void>;
  /** Ends it when nothing is under way. */
  close(): void;
  /** Ends it at once; what is under way rejects according to `ending`. */
  destroy(ending: Ending): void;
}

export interface PoolOptions<S extends PooledSession> {
  /** As messages name it: "sqlserver". */
  readonly product: string;
  /** The field that says how long a call may take, as messages name it: "timeoutInSeconds". */
  readonly timeField: string;
  /** Makes a connection, or rejects with a SqlError and leaves nothing open. */
  readonly connect: (signal: AbortSignal) => Promise<S>;
  readonly maxConns: number;
  /** After which an idle connection is ended, before the server or what stands between drops it. */
  readonly idleMsMax: number;
  /** After which a connection is made anew, so that a name which leads elsewhere by now is looked up; an hour. */
  readonly lifeMsMax?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Calls that may wait for a connection; one more is refused, so that a slow server cannot fill memory. */
export const WAITING_MAX = 4096;
const RETRY_FIRST_MS = 50;
const RETRY_LONGEST_MS = 2000;
const LIFE_MS_MAX = 3_600_000;
/** How long `close` waits for farewells before it goes on without them. */
const CLOSE_WAIT_MS = 1000;

interface Waiter<S> {
  readonly take: (session: S) => void;
  readonly fail: (error: SqlError) => void;
}

interface Idle<S> {
  readonly session: S;
  readonly sinceMs: number;
}

export class Pool<S extends PooledSession> {
  readonly #options: PoolOptions<S>;
  readonly #leaving = new AbortController();
  /** Every connection that stands, busy or idle. */
  readonly #sessions = new Set<S>();
  /** The one that was used last is at the end, and is used first. */
  #idle: Idle<S>[] = [];
  /** In order of arrival; a set, because a caller that leaves is taken out of the middle. */
  readonly #waiting = new Set<Waiter<S>>();
  #connecting = 0;
  /** Why the last attempt to connect failed; null while the latest one has succeeded. */
  #down: SqlError | null = null;
  /** In a row; attempts under way at the same time that fail together count once. */
  #failures = 0;
  /** Every failure that counts begins another; attempts of an earlier one tell nothing new. */
  #round = 0;
  #retryAtMs = 0;
  #retry: Timer | null = null;
  #sweep: Timer | null = null;
  /** Connections that were opened before are of no use any more. */
  #freshFromMs = 0;

  private constructor(options: PoolOptions<S>) {
    this.#options = options;
  }

  /** Makes the first connection, or rejects with a SqlError and leaves nothing open. */
  static async open<S extends PooledSession>(options: PoolOptions<S>, signal: AbortSignal): Promise<Pool<S>> {
    const pool = new Pool(options);
    const session = await options.connect(signal);
    pool.#keep(session);
    pool.release(session);
    return pool;
  }

  /**
   * A connection of the caller's own, to be given back by {@link release}. Rejects with a SqlError: at once while the
   * server is down, else when the caller leaves or `waitMs` have passed.
   */
  acquire(signal: AbortSignal, waitMs: number): Promise<S> {
    if (this.#leaving.signal.aborted) return Promise.reject(closedError());
    if (signal.aborted) return Promise.reject(leftError());
    const free = this.#takeIdle();
    if (free !== null) return Promise.resolve(free);
    const refusal = this.#refusal();
    return refusal === null ? this.#wait(signal, waitMs) : Promise.reject(refusal);
  }

  /** Takes a connection back; one that cannot be used again is ended. */
  release(session: S): void {
    const { clock, idleMsMax, lifeMsMax = LIFE_MS_MAX } = this.#options;
    const nowMs = clock.monotonicMs();
    const isOld = session.openedMs < this.#freshFromMs || nowMs - session.openedMs > lifeMsMax;
    if (!session.reusable) session.destroy("broken");
    else if (this.#leaving.signal.aborted || isOld) session.close();
    else {
      const [next] = this.#waiting;
      if (next !== undefined) next.take(session);
      else {
        this.#idle.push({ session, sinceMs: nowMs });
        this.#sweep ??= clock.after(idleMsMax, () => this.#endIdle());
      }
    }
  }

  /** Called for a connection whose server takes no writes: ends all that stand, the busy ones after their use. */
  retire(session: S): void {
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
      this.#retry?.cancel();
      for (const waiter of [...this.#waiting]) waiter.fail(closedError());
      for (const { session } of this.#idle.splice(0)) session.close();
      // What says farewell already may end it.
      for (const session of [...this.#sessions]) if (session.alive) session.destroy("closed");
    }
    const late = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(CLOSE_WAIT_MS, late.resolve);
    await Promise.race([Promise.all([...this.#sessions].map((session) => session.ended)), late.promise]);
    timer.cancel();
  }

  #takeIdle(): S | null {
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      if (last.session.reusable) return last.session;
      // Else it would keep its place until the server ends it too.
      last.session.destroy("broken");
    }
    return null;
  }

  #refusal(): SqlError | null {
    if (this.#waiting.size >= WAITING_MAX)
      return new SqlError(
        "unavailable",
        `${this.#options.product} is too slow: ${WAITING_MAX} calls wait for a connection`,
      );
    if (this.#down === null || this.#sessions.size > 0) return null;
    // One call at a time finds out whether the server is back; all others need not wait for that.
    const isTried = this.#connecting > 0 || this.#options.clock.monotonicMs() < this.#retryAtMs;
    return isTried ? this.#down : null;
  }

  #wait(signal: AbortSignal, waitMs: number): Promise<S> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiting.delete(waiter);
        timer.cancel();
        signal.removeEventListener("abort", leave);
      };
      const waiter: Waiter<S> = {
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

  /** Makes as many connections as are waited for, within the limit; one at a time while the server is down. */
  #grow(): void {
    const { clock, maxConns } = this.#options;
    if (this.#down !== null && clock.monotonicMs() < this.#retryAtMs) return;
    const wanted = this.#down === null ? this.#waiting.size : 1;
    const round = this.#round;
    while (this.#connecting < wanted && this.#sessions.size + this.#connecting < maxConns) {
      this.#connecting++;
      this.#options.connect(this.#leaving.signal).then(
        (session) => this.#connected(session),
        (error: unknown) => this.#failed(error, round),
      );
    }
  }

  #connected(session: S): void {
    const { product, log } = this.#options;
    this.#connecting--;
    if (this.#down !== null) log.info(`${product} connected again`, { server: session.server });
    this.#down = null;
    this.#failures = 0;
    this.#keep(session);
    this.release(session);
    if (!this.#leaving.signal.aborted) this.#grow();
  }

  #failed(error: unknown, round: number): void {
    this.#connecting--;
    if (this.#leaving.signal.aborted) return;
    const { product, clock } = this.#options;
    const failure = error instanceof SqlError ? error : new SqlError("unavailable", `cannot connect to ${product}`);
    if (round === this.#round) this.#countFailure(failure);
    this.#retry?.cancel();
    // Where some connections stand, the waiting get theirs from those, or from another attempt.
    if (this.#sessions.size === 0 && this.#connecting === 0) this.#failWaiting(failure);
    else this.#retry = clock.after(Math.max(0, this.#retryAtMs - clock.monotonicMs()), () => this.#tryAgain());
  }

  #countFailure(failure: SqlError): void {
    const { product, clock, log } = this.#options;
    if (this.#failures === 0) log.warn(`${product} cannot be reached`, { error: failure.message });
    this.#round++;
    this.#down = failure;
    this.#retryAtMs = clock.monotonicMs() + Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#failures++);
  }

  #tryAgain(): void {
    // Timers can be early.
    this.#retryAtMs = 0;
    if (this.#waiting.size > 0) this.#grow();
  }

  #keep(session: S): void {
    this.#sessions.add(session);
    void session.ended.then(() => {
      this.#sessions.delete(session);
      this.#idle = this.#idle.filter((each) => each.session !== session);
      // Whoever waited for this one gets a new one, or hears why there is none.
      if (this.#waiting.size === 0 || this.#leaving.signal.aborted) return;
      this.#grow();
      if (this.#down !== null && this.#sessions.size === 0 && this.#connecting === 0) this.#failWaiting(this.#down);
    });
  }

  #failWaiting(failure: SqlError): void {
    for (const waiter of [...this.#waiting]) waiter.fail(failure);
  }

  /** Ends what was idle for too long; those that were used last stay longest, since they are used first. */
  #endIdle(): void {
    const { clock, idleMsMax } = this.#options;
    const nowMs = clock.monotonicMs();
    const old = this.#idle.filter(({ sinceMs }) => nowMs - sinceMs >= idleMsMax);
    this.#idle = this.#idle.filter(({ sinceMs }) => nowMs - sinceMs < idleMsMax);
    for (const { session } of old) session.close();
    const [oldest] = this.#idle;
    this.#sweep = oldest === undefined ? null : clock.after(oldest.sinceMs + idleMsMax - nowMs, () => this.#endIdle());
  }

  #tooLate(): SqlError {
    const { product, timeField, maxConns } = this.#options;
    const why = `all ${maxConns} are in use or cannot be made`;
    return new SqlError("unavailable", `no connection to ${product} became free within ${timeField}; ${why}`);
  }
}
