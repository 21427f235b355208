// Has expired rows removed from time to time; they are not served either way. Knows no SQL and no product.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";

/** What a turn is made of. Each rejects with a StoreError. */
export interface CleanupSteps {
  /** False where another sidecar has cleaned up within the interval. */
  readonly claim: (signal: AbortSignal) => Promise<boolean>;
  /** Removes some expired rows, and gives how many there were. */
  readonly remove: (signal: AbortSignal) => Promise<number>;
  /** That `remove` takes at most: fewer were the last. */
  readonly rowsMax: number;
}

export interface CleanupOptions {
  /** From the end of one turn to the next; zero or less: never. */
  readonly intervalMs: number;
  readonly steps: CleanupSteps;
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
    const { steps, log } = this.#options;
    const { signal } = this.#leaving;
    try {
      // Step by step, so that no statement holds its locks for long.
      if (await steps.claim(signal)) while ((await steps.remove(signal)) === steps.rowsMax);
    } catch (error) {
      // Expired rows are not served, so the next turn is early enough.
      if (!signal.aborted) log.warn("cleanup of expired rows failed", { cause: String(error) });
    }
    if (!signal.aborted) this.#plan();
  }
}
