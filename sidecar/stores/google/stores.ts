// What the stores on Google's services have in common: what they declare, how long a call has, and rows of which one may
// be none. Knows neither of the services.
import type { Clock } from "#kit/clock.ts";
import { type Call, type Change, type Found, StoreError, type Traits } from "../store.ts";
import type { How } from "./client.ts";

/** Of a service that answers from most of its replicas; `strongRead` says which reads see each write before them. */
export function traitsOf(strongRead: string): Traits {
  return {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "conflict",
    ttlStepMs: 1,
    durable: true,
    listOrder: "key",
    queryStrings: "typed",
    strongRead,
    strongWrite: "every write is answered when most replicas have it on their disks",
  };
}

export function howOf({ signal }: Call, clock: Clock, timeoutMs: number): How {
  return { signal, deadlineMs: clock.monotonicMs() + timeoutMs, headers: [] };
}

/** Rejects with `refused` what a commit cannot hold. */
export function mustFit(changes: readonly Change[], most: number): void {
  if (changes.length > most)
    throw new StoreError("refused", `a transaction of ${changes.length} changes, want at most ${most}`);
}

/** What `decode` gives, or the StoreError that it throws: one row that is none must not fail the others. */
export function foundOrError(decode: () => Found): Found | StoreError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}
