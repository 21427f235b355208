// A circuit breaker: counts how calls end, and refuses them for a while after too many failures. States and counts are
// those of the library that Dapr uses (dapr-state-api.md 7.2). Knows no store, no error and no metric.
import type { Clock } from "#kit/clock.ts";

export type BreakerState = "closed" | "half-open" | "open";

/** Since the state was entered, or the counts were cleared. */
export interface Counts {
  readonly requests: number;
  readonly totalSuccesses: number;
  readonly totalFailures: number;
  readonly consecutiveSuccesses: number;
  readonly consecutiveFailures: number;
}

/** Whether a closed breaker opens. */
export type Trip = (counts: Counts) => boolean;

/** "neither": it says nothing about the store, say because the client left. */
export type Outcome = "success" | "failure" | "neither";

/** Who calls, and for which time. */
export interface Entrant {
  /**
   * The request that the attempt belongs to. All items of a bulk save are one request, and their attempts of one number
   * count once, as Dapr's one call for all of them does; and a half-open breaker that lets one in does not refuse the rest.
   */
  readonly request: object;
  /** From 1. */
  readonly attempt: number;
}

export interface BreakerOptions {
  readonly maxRequests: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly trip: Trip;
  readonly clock: Clock;
  readonly onChange: (state: BreakerState) => void;
}

/** What is known of one request within one generation: the highest attempt that each count has seen. */
interface Tally {
  readonly generation: number;
  requests: number;
  successes: number;
  failures: number;
}

const NOTHING: Counts = {
  requests: 0,
  totalSuccesses: 0,
  totalFailures: 0,
  consecutiveSuccesses: 0,
  consecutiveFailures: 0,
};

/** An attempt that was let in. */
export interface Admission {
  readonly admitted: true;
  readonly entrant: Entrant;
  readonly tally: Tally;
}

/** `open`: calls go through again in so many milliseconds. Half-open: as many as may are under way. */
export type Refusal =
  | { readonly admitted: false; readonly state: "open"; readonly leftMs: number }
  | { readonly admitted: false; readonly state: "half-open" };

export class Breaker {
  readonly #options: BreakerOptions;
  readonly #tallies = new WeakMap<object, Tally>();
  #state: BreakerState = "closed";
  /** Counts belong to one generation; a call that ends in another one counts no more. */
  #generation = 0;
  #counts: Counts = NOTHING;
  /** When the state or the counts end, on the monotonic clock; null for never. */
  #endsAtMs: number | null = null;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#begin("closed");
  }

  /** Its state now: an open breaker whose time is over becomes half-open. */
  current(): BreakerState {
    if (this.#endsAtMs !== null && this.#options.clock.monotonicMs() >= this.#endsAtMs)
      this.#change(this.#state === "open" ? "half-open" : "closed");
    return this.#state;
  }

  /** Whether an attempt may be made now. One that is let in must be given to {@link leave}. */
  enter(entrant: Entrant): Admission | Refusal {
    const state = this.current();
    if (state === "open") {
      const leftMs = (this.#endsAtMs ?? 0) - this.#options.clock.monotonicMs();
      return { admitted: false, state, leftMs };
    }
    const tally = this.#tally(entrant.request);
    const isNew = entrant.attempt > tally.requests;
    if (state === "half-open" && isNew && this.#counts.requests >= this.#options.maxRequests)
      return { admitted: false, state };
    if (isNew) {
      tally.requests = entrant.attempt;
      this.#count({ requests: this.#counts.requests + 1 });
    }
    return { admitted: true, entrant, tally };
  }

  /** How the attempt has ended. */
  leave({ entrant, tally }: Admission, outcome: Outcome): void {
    const { attempt } = entrant;
    const state = this.current();
    if (tally.generation !== this.#generation) return;
    if (outcome === "neither") this.#forget(tally, attempt);
    else if (outcome === "success" && attempt > Math.max(tally.successes, tally.failures)) {
      tally.successes = attempt;
      this.#succeed(state);
    } else if (outcome === "failure" && attempt > tally.failures) {
      tally.failures = attempt;
      this.#fail(state);
    }
  }

  #succeed(state: BreakerState): void {
    const { totalSuccesses, consecutiveSuccesses } = this.#counts;
    this.#count({
      totalSuccesses: totalSuccesses + 1,
      consecutiveSuccesses: consecutiveSuccesses + 1,
      consecutiveFailures: 0,
    });
    if (state === "half-open" && this.#counts.consecutiveSuccesses >= this.#options.maxRequests) this.#change("closed");
  }

  #fail(state: BreakerState): void {
    const { totalFailures, consecutiveFailures } = this.#counts;
    this.#count({
      totalFailures: totalFailures + 1,
      consecutiveFailures: consecutiveFailures + 1,
      consecutiveSuccesses: 0,
    });
    if (state === "half-open" || this.#options.trip(this.#counts)) this.#change("open");
  }

  /** Gives the place back that the attempt took: otherwise a half-open breaker would wait for its end for ever. */
  #forget(tally: Tally, attempt: number): void {
    const counted = Math.max(tally.successes, tally.failures) >= attempt;
    if (counted || tally.requests !== attempt) return;
    tally.requests = attempt - 1;
    this.#count({ requests: this.#counts.requests - 1 });
  }

  #tally(request: object): Tally {
    const known = this.#tallies.get(request);
    if (known?.generation === this.#generation) return known;
    const made = { generation: this.#generation, requests: 0, successes: 0, failures: 0 };
    this.#tallies.set(request, made);
    return made;
  }

  #count(changed: Partial<Counts>): void {
    this.#counts = { ...this.#counts, ...changed };
  }

  #change(state: BreakerState): void {
    const before = this.#state;
    this.#begin(state);
    if (before !== state) this.#options.onChange(state);
  }

  #begin(state: BreakerState): void {
    const { clock, intervalMs, timeoutMs } = this.#options;
    this.#state = state;
    this.#generation++;
    this.#counts = NOTHING;
    const lastsMs = state === "open" ? timeoutMs : state === "closed" ? intervalMs : 0;
    this.#endsAtMs = lastsMs === 0 ? null : clock.monotonicMs() + lastsMs;
  }
}
