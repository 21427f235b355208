// What stands between the rules of the API and a store's answer when a Resiliency resource says so: timeouts, retries,
// circuit breakers. Only the shape: the resources and what they mean are in resiliency/.
import { type Call, StoreError } from "../stores/store.ts";

/** The circuit is open: the store was not asked, and asking again at once would be refused too. */
export class CircuitRefusal extends StoreError {
  constructor(message: string) {
    super("unavailable", message);
  }
}

/**
 * Whether another attempt can help after this error. Conflicts and what the caller did wrong stay as they are. A
 * conditional call that may have been applied would then only misreport a conflict, so it is not made again.
 */
export function canMend(error: unknown, conditional: boolean): boolean {
  if (!(error instanceof StoreError) || error instanceof CircuitRefusal) return false;
  if (error.code === "unavailable" || error.code === "failed") return true;
  return !conditional && (error.code === "timeout" || error.code === "unknown-outcome");
}

/** How one call may be tried again. */
export interface AttemptRules {
  /** False for a request that brings retries of its own: those then hold, and the resource's do not. */
  readonly retry: boolean;
  /**
   * The call carries a condition (an ETag, or first-write). After a failure that may have written, another attempt could
   * then only misreport a conflict, so it is not made.
   */
  readonly conditional: boolean;
  /** Aborts when the sidecar ends: then nobody waits for another attempt, and the last one's error is the answer. */
  readonly ending: AbortSignal;
}

export interface Policy {
  /**
   * Runs `attempt`, once or more; each gets a call of its own that ends with the client's or with the attempt's timeout.
   * Rejects with the last attempt's error, or with a StoreError of its own: `timeout`, or `unavailable` when the circuit
   * is open. Conflicts are never tried again.
   */
  run<T>(call: Call, rules: AttemptRules, attempt: (call: Call) => Promise<T>): Promise<T>;
}

export interface Policies {
  /** For one call of a state store, by the Component's name; null when nothing applies to it. */
  of(component: string): Policy | null;
}

export const noPolicies: Policies = { of: () => null };
