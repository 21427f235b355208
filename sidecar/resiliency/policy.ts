// What a Resiliency does to the calls of one state store: retries around a circuit breaker around a timeout around the
// call (dapr-state-api.md 7.4). Chooses no policy and knows no resource.
import type { RetrySpec } from "#crds/resiliency.ts";
import { type Clock, sleep } from "#kit/clock.ts";
import { formatMs } from "#kit/duration.ts";
import type { Random } from "#kit/random.ts";
import type { PolicySeries } from "../metrics.ts";
import { type AttemptRules, CircuitRefusal, canMend, type Policy } from "../state/policies.ts";
import { type Call, StoreError } from "../stores/store.ts";
import { Backoff } from "./backoff.ts";
import type { Breaker, Outcome } from "./breaker.ts";

/**
 * Longest time from the first attempt of a call to its last, whatever its number of retries. Dapr's limit for
 * "exponential"; Dapr has none for "constant".
 */
const RETRIES_MAX_MS = 15 * 60_000;

/** A policy and where its use is counted. */
export interface Counted<T> {
  readonly policy: T;
  readonly series: PolicySeries;
}

export interface StorePolicyParts {
  /** Name of the Component, for messages. */
  readonly component: string;
  /** In milliseconds, above 0. */
  readonly timeout: Counted<number> | null;
  readonly retry: Counted<RetrySpec> | null;
  readonly breaker: Counted<Breaker> | null;
  readonly clock: Clock;
  readonly random: Random;
}

export class StorePolicy implements Policy {
  readonly #parts: StorePolicyParts;

  constructor(parts: StorePolicyParts) {
    this.#parts = parts;
  }

  /** Counts that the policies apply to a call. */
  applied(): void {
    const { timeout, retry, breaker } = this.#parts;
    timeout?.series.applied("");
    retry?.series.applied("");
    breaker?.series.applied(breaker.policy.current());
  }

  async run<T>(call: Call, rules: AttemptRules, attempt: (call: Call) => Promise<T>): Promise<T> {
    const { clock, random } = this.#parts;
    const retry = rules.retry ? this.#parts.retry : null;
    if (retry === null) return this.#guarded(call, 1, attempt);
    const backoff = new Backoff(retry.policy, random);
    const endMs = clock.monotonicMs() + RETRIES_MAX_MS;
    for (let made = 1; ; made++) {
      try {
        return await this.#guarded(call, made, attempt);
      } catch (error) {
        const { maxRetries } = retry.policy;
        const pauseMs = backoff.next();
        const isLast = (maxRetries >= 0 && made > maxRetries) || clock.monotonicMs() + pauseMs > endMs;
        if (isLast || call.signal.aborted || !canMend(error, rules.conditional)) throw error;
        if (made === 1) retry.series.activated("");
        if (!(await sleep(clock, pauseMs, AbortSignal.any([call.signal, rules.ending])))) throw error;
      }
    }
  }

  /** One attempt, unless the breaker refuses it. */
  async #guarded<T>(call: Call, made: number, attempt: (call: Call) => Promise<T>): Promise<T> {
    if (this.#parts.breaker === null) return this.#timed(call, attempt);
    const breaker = this.#parts.breaker.policy;
    const entry = breaker.enter({ request: call, attempt: made });
    if (!entry.admitted) throw refusal(this.#parts.component, entry.state === "open" ? entry.leftMs : null);
    let outcome: Outcome = "neither";
    try {
      const result = await this.#timed(call, attempt);
      outcome = "success";
      return result;
    } catch (error) {
      outcome = call.signal.aborted ? "neither" : outcomeOf(error);
      throw error;
    } finally {
      breaker.leave(entry, outcome);
    }
  }

  /** One attempt with a call of its own, which ends with the client's or with the timeout. */
  #timed<T>(call: Call, attempt: (call: Call) => Promise<T>): Promise<T> {
    const { timeout, clock, component } = this.#parts;
    if (timeout === null) return attempt(call);
    const own = new AbortController();
    const leave = (): void => own.abort();
    return new Promise<T>((resolve, reject) => {
      // Not waited for: the store may be what hangs. Its late outcome meets a promise that is settled.
      const timer = clock.after(timeout.policy, () => {
        call.signal.removeEventListener("abort", leave);
        timeout.series.activated("");
        reject(deadlineExceeded(component, timeout.policy));
        own.abort();
      });
      const settle = (): void => {
        timer.cancel();
        call.signal.removeEventListener("abort", leave);
      };
      if (call.signal.aborted) own.abort();
      else call.signal.addEventListener("abort", leave, { once: true });
      Promise.try(attempt, { signal: own.signal }).finally(settle).then(resolve, reject);
    });
  }
}

/** What an error says about the store: it has answered, it has failed, or nothing. */
function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof StoreError)) return "neither";
  switch (error.code) {
    case "unavailable":
    case "timeout":
    case "unknown-outcome":
    case "failed":
      return "failure";
    case "closed":
      return "neither";
    default:
      return "success";
  }
}

/** Dapr's clients look for this phrase. */
function deadlineExceeded(component: string, timeoutMs: number): StoreError {
  return new StoreError(
    "timeout",
    `context deadline exceeded: ${component} gave no answer within ${formatMs(timeoutMs)}`,
  );
}

/** And for these two. */
function refusal(component: string, leftMs: number | null): CircuitRefusal {
  if (leftMs === null)
    return new CircuitRefusal(
      `too many requests: ${component} is being tried after failures, and this one is too many`,
    );
  const left = formatMs(Math.max(leftMs, 0));
  return new CircuitRefusal(`circuit breaker is open: ${component} has failed too often; it is tried again in ${left}`);
}
