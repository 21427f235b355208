// The calls that wait for their ends: each has one, whichever comes first of its answer, a caller who leaves, the time that
// is up, and the store's close. Knows no call.
import type { Clock } from "#kit/clock.ts";
import { abandonedError, closedError, leftError } from "./failures.ts";

/** What bounds the waiting. */
export interface Bounds {
  readonly signal: AbortSignal;
  /** By the clock's monotonic milliseconds. */
  readonly deadlineMs: number;
  /** What is waited for may change what is stored. */
  readonly isWrite: boolean;
}

interface Ends<T> {
  readonly resolve: (result: T) => void;
  readonly reject: (error: unknown) => void;
}

type Why = "left" | "late" | "closed";

export class Pending {
  readonly #server: string;
  readonly #clock: Clock;
  readonly #waiting = new Set<(why: Why) => void>();
  #closed = false;

  /** `server` as it stands in errors. */
  constructor(server: string, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
  }

  /** Begins something and waits for it; what has ended otherwise is cancelled. Later ends are passed over. */
  run<T>(bounds: Bounds, begin: (ends: Ends<T>) => { cancel(): void }): Promise<T> {
    const { signal, deadlineMs, isWrite } = bounds;
    if (this.#closed) return Promise.reject(closedError());
    if (signal.aborted) return Promise.reject(leftError());
    return new Promise((resolve, reject) => {
      let begun: { cancel(): void } | null = null;
      const settle = (): void => {
        signal.removeEventListener("abort", leave);
        this.#waiting.delete(abandon);
        timer.cancel();
      };
      const abandon = (why: Why): void => {
        settle();
        reject(abandonedError(why, this.#server, isWrite));
        begun?.cancel();
      };
      const leave = (): void => abandon("left");
      const timer = this.#clock.after(Math.max(0, deadlineMs - this.#clock.monotonicMs()), () => abandon("late"));
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.add(abandon);
      const fail = (error: unknown): void => {
        settle();
        reject(error);
      };
      const succeed = (result: T): void => {
        settle();
        resolve(result);
      };
      try {
        begun = begin({ resolve: succeed, reject: fail });
      } catch (error) {
        fail(error);
      }
    });
  }

  /** Everything that waits ends as closed, and so does what comes. */
  close(): void {
    this.#closed = true;
    for (const abandon of this.#waiting) abandon("closed");
  }
}
