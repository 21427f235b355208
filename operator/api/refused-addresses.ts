// How often an address was refused of late: whoever guesses tokens is soon told to wait. Knows no token.
import type { Clock } from "#kit/clock.ts";

/** So many refused tokens from one address within {@link WINDOW_MS}; more are turned away unread. */
export const REFUSALS_MAX = 20;
export const WINDOW_MS = 10_000;
/** Most addresses that are counted; the one counted longest gives way. */
export const ADDRESSES_MAX = 10_000;

interface Window {
  readonly endsMs: number;
  refusals: number;
}

export class RefusedAddresses {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For how long the address has to wait, in milliseconds; 0 when it need not. */
  waitMs(address: string): number {
    const window = this.#current(address);
    if (window === undefined || window.refusals < REFUSALS_MAX) return 0;
    return window.endsMs - this.#clock.monotonicMs();
  }

  count(address: string): void {
    const window = this.#current(address);
    if (window !== undefined) {
      window.refusals++;
      return;
    }
    this.#windows.delete(address);
    this.#windows.set(address, { endsMs: this.#clock.monotonicMs() + WINDOW_MS, refusals: 1 });
    for (const [oldest] of this.#windows) {
      if (this.#windows.size <= ADDRESSES_MAX) break;
      this.#windows.delete(oldest);
    }
  }

  #current(address: string): Window | undefined {
    const window = this.#windows.get(address);
    return window === undefined || window.endsMs <= this.#clock.monotonicMs() ? undefined : window;
  }
}
