// `Server-Timing` (https://www.w3.org/TR/server-timing/): what of a request's time the store took, told to the client.
// Made only when it is switched on.
import type { Clock } from "#kit/clock.ts";
import type { ApiGroup } from "../configuration/api-access.ts";

const TIMED: ReadonlySet<ApiGroup | null> = new Set<ApiGroup>([
  "state/v1.0",
  "state/v1.0-alpha1",
  "actors/v1.0",
  "pannier/v1",
]);

/** Whether the routes of a group call stores. */
export function isTimed(api: ApiGroup | null): boolean {
  return TIMED.has(api);
}

export class ServerTiming {
  readonly #clock: Clock;
  readonly #startMs: number;
  #storeMs = 0;

  constructor(clock: Clock, startMs: number) {
    this.#clock = clock;
    this.#startMs = startMs;
  }

  /** Adds a call of a store, its retries included. */
  add(ms: number): void {
    this.#storeMs += ms;
  }

  /** The header's value at this moment: milliseconds, to the microsecond. */
  text(): string {
    const totalMs = this.#clock.monotonicMs() - this.#startMs;
    return `store;dur=${this.#storeMs.toFixed(3)}, total;dur=${totalMs.toFixed(3)}`;
  }
}
