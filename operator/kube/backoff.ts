// How long to wait before the next attempt: twice as long each time, with chance, up to a bound. Counts, never waits.
import type { Random } from "#kit/random.ts";

export interface BackoffLimits {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** The longest that a Retry-After is obeyed, in milliseconds: a mistaken one must not stop the operator for a day. */
export const RETRY_AFTER_MAX_MS = 60_000;

export class Backoff {
  readonly #limits: BackoffLimits;
  readonly #random: Random;
  #failures = 0;

  constructor(limits: BackoffLimits, random: Random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** In a row, since the last {@link reset}. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Counts a failure and gives the wait in milliseconds: between half and all of `firstMs` doubled once per earlier
   * failure, at most `mostMs`. When the server asked for a longer one (`retryAfterMs`) it is that and up to a tenth more.
   */
  next(retryAfterMs: number | null = null): number {
    const { firstMs, mostMs } = this.#limits;
    const whole = Math.min(mostMs, firstMs * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    const own = whole * (0.5 + 0.5 * this.#random.fraction());
    const asked = Math.min(retryAfterMs ?? 0, RETRY_AFTER_MAX_MS);
    return asked > own ? asked * (1 + 0.1 * this.#random.fraction()) : own;
  }

  reset(): void {
    this.#failures = 0;
  }
}
