// Has expired rows removed from time to time; they are not served either way. Knows no SQL and no product.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";

export interface CleanupOptions {
  /** From the end of one turn to the next; zero or less: never. */
  readonly intervalMs: number;
  /** One turn. Leaves the rows to another sidecar where that has cleaned up within the interval. */
  readonly turn: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

export class Cleanup {
  readonly #options: CleanupOptions;
  readonly #leaving = new AbortController();
  #timer: Timer | null = null;

  constructor(options: CleanupOptions) {
    this.#options = options;
    if (options.intervalMs > 0) this.#plan();
  }

  close(): void {
    this.#leaving.abort();
    this.#timer?.cancel();
  }

  #plan(): void {
    const { clock, intervalMs } = this.#options;
    this.#timer = clock.after(intervalMs, () => void this.#cleanUp());
  }

  async #cleanUp(): Promise<void> {
    const { turn, log } = this.#options;
    const { signal } = this.#leaving;
    try {
      await turn(signal);
    } catch (error) {
      // Expired rows are not served, so the next turn is early enough.
      if (!signal.aborted) log.warn("cleanup of expired rows failed", { cause: String(error) });
    }
    if (!signal.aborted) this.#plan();
  }
}
