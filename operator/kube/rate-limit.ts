// A rate for each of many keys: some at once, then one each so often. Knows nothing of what the keys stand for.
import type { Clock } from "#kit/clock.ts";

/** Keys remembered; the least recently used is forgotten, and then may do as many at once again. */
export const RATES_MAX = 4096;

export interface RateLimitOptions {
  readonly atOnce: number;
  readonly everyMs: number;
  readonly clock: Clock;
}

export class RateLimit {
  readonly #options: RateLimitOptions;
  /** What is left of each key at a time; the least recently used first. */
  readonly #left = new Map<string, { readonly tokens: number; readonly atMs: number }>();

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Whether `key` may now; takes it when it may. */
  take(key: string): boolean {
    const { atOnce, everyMs, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const { tokens, atMs } = this.#left.get(key) ?? { tokens: atOnce, atMs: nowMs };
    const now = Math.min(atOnce, tokens + (nowMs - atMs) / everyMs);
    const may = now >= 1;
    this.#left.delete(key);
    this.#left.set(key, { tokens: may ? now - 1 : now, atMs: nowMs });
    if (this.#left.size > RATES_MAX) {
      const [oldest] = this.#left.keys();
      if (oldest !== undefined) this.#left.delete(oldest);
    }
    return may;
  }
}
