// The pauses between the attempts of a retry policy (dapr-state-api.md 7.2). Makes no attempt and waits for nothing.
import type { RetrySpec } from "#crds/resiliency.ts";
import type { Random } from "#kit/random.ts";

const INITIAL_MS = 500;
const FACTOR = 1.5;
/** A pause lies between so much less and so much more than its mean. */
const SPREAD = 0.5;
/** Shortest pause: `duration: 0s` without a number of retries would otherwise keep a processor busy. */
const PAUSE_MIN_MS = 10;

export class Backoff {
  readonly #spec: RetrySpec;
  readonly #random: Random;
  #meanMs: number;

  constructor(spec: RetrySpec, random: Random) {
    this.#spec = spec;
    this.#random = random;
    this.#meanMs = Math.min(INITIAL_MS, spec.maxIntervalMs);
  }

  /** Milliseconds to the next attempt; for "exponential" its mean grows with every pause. */
  next(): number {
    const { policy, durationMs, maxIntervalMs } = this.#spec;
    if (policy === "constant") return Math.max(durationMs, PAUSE_MIN_MS);
    const meanMs = this.#meanMs;
    this.#meanMs = Math.min(meanMs * FACTOR, maxIntervalMs);
    return Math.max(meanMs * (1 - SPREAD + 2 * SPREAD * this.#random.fraction()), PAUSE_MIN_MS);
  }
}
