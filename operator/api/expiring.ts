// What counts for a while, by key: so long and no longer, so many and no more. Knows not what it keeps.
import type { Clock } from "#kit/clock.ts";

export class Expiring<T> {
  readonly #clock: Clock;
  readonly #forMs: number;
  readonly #max: number;
  readonly #entries = new Map<string, { readonly value: T; readonly untilMs: number }>();

  constructor(clock: Clock, limits: { readonly forMs: number; readonly max: number }) {
    this.#clock = clock;
    this.#forMs = limits.forMs;
    this.#max = limits.max;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.untilMs > this.#clock.monotonicMs()) return entry?.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** Counts from now; the oldest gives way when there are too many. */
  set(key: string, value: T): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: this.#clock.monotonicMs() + this.#forMs });
    // All count for the same time, so the order of entry is the order of their ends.
    for (const [oldest, { untilMs }] of this.#entries) {
      if (this.#entries.size <= this.#max && untilMs > this.#clock.monotonicMs()) break;
      this.#entries.delete(oldest);
    }
  }
}
