// The connections of one store: made when they are needed, at most so many, with a bounded queue before them. While the
// server is known to be down, calls fail at once. Knows no statement. mysql2's own pool cannot tell a server that is down
// from one that is busy, has no way to leave its queue, and waits at its end for servers that hang.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { closedError, leftError, MysqlError } from "./failures.ts";
import type { Session } from "./session.ts";

export interface PoolOptions {
  /** Makes a connection, or rejects with a MysqlError and leaves nothing open. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  readonly maxConns: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Calls that may wait for a connection; one more is refused, so that a slow server cannot fill memory. */
export const WAITING_MAX = 4096;
const RETRY_FIRST_MS = 50;
const RETRY_LONGEST_MS = 2000;
/** Well within the eight hours of the server's own wait_timeout. */
const IDLE_MS_MAX = 30 * 60_000;
/** After which a connection is made anew, so that a name which leads elsewhere by now is looked up. */
const LIFE_MS_MAX = 3_600_000;
/** How long `close` waits for farewells before it goes on without them. */
const CLOSE_WAIT_MS = 1000;

interface Waiter {
  readonly take: (session: Session) => void;
  readonly fail: (error: MysqlError) => void;
}

export class Pool {
  readonly #options: PoolOptions;
  readonly #leaving = new AbortController();
  /** Every connection that stands, busy or idle. */
  readonly #sessions = new Set<Session>();
  /** With the moment since which each is idle; the one that was used last is at the end, and is used first. */
  readonly #idle = new Map<Session, number>();
  /** In order of arrival. */
  readonly #waiting = new Set<Waiter>();
  #connecting = 0;
  /** Why the last attempt to connect failed; null while the latest one has succeeded. */
  #down: MysqlError | null = null;
  #failures = 0;
  #retryAtMs = 0;
  #sweep: Timer | null = null;
  /** Connections that were opened before are of no use any more. */
  #freshFromMs = 0;

  private constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Makes the first connection, or rejects with a MysqlError and leaves nothing open. */
  static async open(options: PoolOptions, signal: AbortSignal): Promise<Pool> {
    const pool = new Pool(options);
    const session = await options.connect(signal);
    pool.#keep(session);
    pool.release(session);
    return pool;
  }

  /**
   * A connection of the caller's own, to be given back by {@link release}. Rejects with a MysqlError: at once while the
   * server is down, else when the caller leaves or `waitMs` have passed.
   */
  acquire(signal: AbortSignal, waitMs: number): Promise<Session> {
    if (this.#leaving.signal.aborted) return Promise.reject(closedError());
    if (signal.aborted) return Promise.reject(leftError());
    const free = this.#takeIdle();
    if (free !== null) return Promise.resolve(free);
    const refusal = this.#refusal();
    return refusal === null ? this.#wait(signal, waitMs) : Promise.reject(refusal);
  }

  /** Takes a connection back; one that cannot be used again is ended. */
  release(session: Session): void {
    const nowMs = this.#options.clock.monotonicMs();
    const isOld = session.openedMs < this.#freshFromMs || nowMs - session.openedMs > LIFE_MS_MAX;
    if (!session.reusable) session.destroy("broken");
    else if (this.#leaving.signal.aborted || isOld) session.close();
    else {
      const [next] = this.#waiting;
      if (next !== undefined) next.take(session);
      else {
        this.#idle.set(session, nowMs);
        this.#sweep ??= this.#options.clock.after(IDLE_MS_MAX, () => this.#endIdle());
      }
    }
  }

  /** Called for a connection whose server takes no writes: ends all that stand, the busy ones after their use. */
  retire(session: Session): void {
    // Another call has found that out before, and what was made since may be of use.
    if (session.openedMs < this.#freshFromMs) return;
    this.#freshFromMs = this.#options.clock.monotonicMs();
    for (const idle of this.#idle.keys()) idle.close();
    this.#idle.clear();
  }

  /** Ends everything; what is under way rejects. May be called again. */
  async close(): Promise<void> {
    if (!this.#leaving.signal.aborted) {
      this.#leaving.abort();
      this.#sweep?.cancel();
      for (const waiter of [...this.#waiting]) waiter.fail(closedError());
      for (const session of this.#sessions) {
        if (this.#idle.has(session)) session.close();
        else session.destroy("closed");
      }
    }
    const late = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(CLOSE_WAIT_MS, late.resolve);
    await Promise.race([Promise.all([...this.#sessions].map((session) => session.ended)), late.promise]);
    timer.cancel();
  }

  #takeIdle(): Session | null {
    const session = [...this.#idle.keys()].at(-1);
    if (session === undefined) return null;
    this.#idle.delete(session);
    return session.reusable ? session : this.#takeIdle();
  }

  #refusal(): MysqlError | null {
    if (this.#waiting.size >= WAITING_MAX)
      return new MysqlError("unavailable", `mysql is too slow: ${WAITING_MAX} calls wait for a connection`);
    if (this.#down === null || this.#sessions.size > 0) return null;
    // One call at a time finds out whether the server is back; all others need not wait for that.
    const isTried = this.#connecting > 0 || this.#options.clock.monotonicMs() < this.#retryAtMs;
    return isTried ? this.#down : null;
  }

  #wait(signal: AbortSignal, waitMs: number): Promise<Session> {
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

  /** Makes as many connections as are waited for, within the limit; one at a time while the server is down. */
  #grow(): void {
    const { clock, maxConns } = this.#options;
    if (this.#down !== null && clock.monotonicMs() < this.#retryAtMs) return;
    const wanted = this.#down === null ? this.#waiting.size : 1;
    while (this.#connecting < wanted && this.#sessions.size + this.#connecting < maxConns) {
      this.#connecting++;
      this.#options.connect(this.#leaving.signal).then(
        (session) => this.#connected(session),
        (error: unknown) => this.#failed(error),
      );
    }
  }

  #connected(session: Session): void {
    this.#connecting--;
    if (this.#down !== null) this.#options.log.info("mysql connected again", { server: session.server });
    this.#down = null;
    this.#failures = 0;
    this.#keep(session);
    this.release(session);
    if (!this.#leaving.signal.aborted) this.#grow();
  }

  #failed(error: unknown): void {
    this.#connecting--;
    if (this.#leaving.signal.aborted) return;
    const { clock, log } = this.#options;
    const failure = error instanceof MysqlError ? error : new MysqlError("unavailable", "cannot connect to mysql");
    if (this.#failures === 0) log.warn("mysql cannot be reached", { error: failure.message });
    this.#retryAtMs = clock.monotonicMs() + Math.min(RETRY_LONGEST_MS, RETRY_FIRST_MS * 2 ** this.#failures++);
    this.#down = failure;
    // Where some connections stand, the waiting get theirs from those.
    if (this.#sessions.size === 0 && this.#connecting === 0) this.#failWaiting(failure);
  }

  #keep(session: Session): void {
    this.#sessions.add(session);
    void session.ended.then(() => {
      this.#sessions.delete(session);
      this.#idle.delete(session);
      // Whoever waited for this one gets a new one, or hears why there is none.
      if (this.#waiting.size === 0 || this.#leaving.signal.aborted) return;
      this.#grow();
      if (this.#down !== null && this.#sessions.size === 0 && this.#connecting === 0) this.#failWaiting(this.#down);
    });
  }

  #failWaiting(failure: MysqlError): void {
    for (const waiter of [...this.#waiting]) waiter.fail(failure);
  }

  #endIdle(): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [session, sinceMs] of this.#idle) {
      if (nowMs - sinceMs < IDLE_MS_MAX) continue;
      this.#idle.delete(session);
      session.close();
    }
    const [oldest] = this.#idle.values();
    this.#sweep = oldest === undefined ? null : clock.after(oldest + IDLE_MS_MAX - nowMs, () => this.#endIdle());
  }

  #tooLate(): MysqlError {
    const { maxConns } = this.#options;
    const why = `all ${maxConns} are in use or cannot be made`;
    return new MysqlError("unavailable", `no connection to mysql became free within timeoutInSeconds; ${why}`);
  }
}
