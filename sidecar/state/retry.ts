// Retries that a request asks for (`options.retryPolicy`, `retryInterval` and so on), as Dapr's first releases had them
// (dapr-state-api.md 7.5): threshold attempts in total, a pause after each, doubled for "exponential". Milliseconds.
import { type Clock, sleep } from "#kit/clock.ts";
import type { Call } from "../stores/store.ts";
import { canMend } from "./policies.ts";

export interface RetryPolicy {
  readonly intervalMs: number;
  readonly pattern: "linear" | "exponential";
  /** Attempts in total. */
  readonly threshold: number;
}

/** More attempts than this, or a longer time for all of them, are not given to a request. */
const ATTEMPTS_MAX = 20;
const TOTAL_MS_MAX = 60_000;

export interface RetryRun {
  /** Null: one attempt. */
  readonly policy: RetryPolicy | null;
  /**
   * The attempt carries a condition (an ETag, or first-write). After a failure that may have written, another attempt
   * could then only misreport a conflict, so it is not made.
   */
  readonly conditional: boolean;
  /** As in AttemptRules. */
  readonly ending: AbortSignal;
  readonly clock: Clock;
  readonly call: Call;
}

/**
 * Runs `attempt` until it succeeds, fails for a reason that another attempt cannot mend, or the policy, the two limits
 * above or the client end it. Throws the last error.
 */
export async function withRetries<T>(run: RetryRun, attempt: () => Promise<T>): Promise<T> {
  if (run.policy === null) return attempt();
  const attempts = Math.min(run.policy.threshold, ATTEMPTS_MAX);
  const endMs = run.clock.monotonicMs() + TOTAL_MS_MAX;
  let pauseMs = run.policy.intervalMs;
  for (let made = 1; ; made++) {
    try {
      return await attempt();
    } catch (error) {
      const late = run.clock.monotonicMs() + pauseMs > endMs;
      if (made >= attempts || late || !canMend(error, run.conditional)) throw error;
      const leave = AbortSignal.any([run.call.signal, run.ending]);
      if (!(await sleep(run.clock, pauseMs, leave))) throw error;
    }
    if (run.policy.pattern === "exponential") pauseMs *= 2;
  }
}
