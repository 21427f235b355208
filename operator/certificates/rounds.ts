// Work that is done again and again: now, every so often, and when somebody asks. Never twice at a time.
import { type Clock, sleep } from "#kit/clock.ts";

export interface RoundsOptions {
  readonly clock: Clock;
  /** From the end of one round to the begin of the next. */
  readonly everyMs: number;
  /** The same after a round that failed. */
  readonly retryMs: number;
  /** `signal` aborts with the close: whatever the round waits for must end by it. */
  readonly round: (signal: AbortSignal) => Promise<void>;
  /** Told what a round rejected with, unless it was ended by the close. */
  readonly failed: (error: unknown) => void;
}

export class Rounds {
  readonly #options: RoundsOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** Ends the pause before the next round. */
  #wake = new AbortController();
  #waiting: (() => void)[] = [];

  /** The first round begins at once. */
  constructor(options: RoundsOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Resolves after the end of a round that began after this call, well or badly; at once when closed. */
  ask(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#wake.abort();
    });
  }

  /** Ends the round under way and resolves when it has ended. */
  close(): Promise<void> {
    this.#closing.abort();
    this.#wake.abort();
    return this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      this.#wake = new AbortController();
      const asked = this.#waiting;
      this.#waiting = [];
      const pauseMs = await this.#round();
      for (const resolve of asked) resolve();
      await sleep(this.#options.clock, pauseMs, this.#wake.signal);
    }
    for (const resolve of this.#waiting) resolve();
  }

  async #round(): Promise<number> {
    const { round, failed, everyMs, retryMs } = this.#options;
    try {
      await round(this.#closing.signal);
      return everyMs;
    } catch (error) {
      if (!this.#closing.signal.aborted) failed(error);
      return retryMs;
    }
  }
}
