// The rules of the state API, the same for all stores and all surfaces: find the store, check, call, count.
// Knows no driver and no HTTP word.
import type { Clock } from "#kit/clock.ts";
import type { Metrics, StateOperation } from "../metrics.ts";
import { type Call, type Found, type Metadata, StoreError } from "../stores/store.ts";
import { faultOf, invalid, StateError, storeErrorText, storeNotConfigured, storeNotFound } from "./errors.ts";
import { getMany } from "./get-many.ts";
import { inParallel } from "./parallel.ts";
import type { AttemptRules, Policies } from "./policies.ts";
import { type DeleteRequest, readConsistency, type SaveRequest, toKey, toRemoval, toWrite } from "./requests.ts";
import { type RetryPolicy, withRetries } from "./retry.ts";
import type { StoreEntry, StoreTable } from "./table.ts";

/** Most writes that one bulk save has under way in a store. */
const BULK_WIDTH_MAX = 64;
/** Most keys of one bulk get. */
const BULK_KEYS_MAX = 100_000;
/** Of a bulk write's failures, this many are told; the rest are counted. */
const FAILURES_TOLD_MAX = 10;

export interface GetRequest {
  readonly key: string;
  /** "strong", "eventual" or "". */
  readonly consistency: string;
  readonly metadata: Metadata;
}

export interface BulkGetRequest {
  readonly keys: readonly string[];
  /** Most reads at a time; 0 or less for as many as the sidecar allows. */
  readonly parallelism: number;
  readonly metadata: Metadata;
  /** Most bytes that all values together may have; 0 for no limit. */
  readonly bytesMax: number;
}

/** One key's answer: a value, nothing, or the text of what went wrong with it. */
export type BulkItem = { readonly key: string; readonly found: Found | null; readonly error: string | null };

/** The surface's side of one request. */
export interface Caller extends Call {
  /** Told how long the store took, in milliseconds, retries included; once per call of a store. */
  readonly onStore?: ((ms: number) => void) | undefined;
}

export interface StateServiceParts {
  readonly stores: StoreTable;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly policies: Policies;
}

/** How one step of a request may be tried again. */
export interface StepRules {
  /** The request's own retries; null when it brings none. */
  readonly retry: RetryPolicy | null;
  readonly conditional: boolean;
}

const PLAIN: AttemptRules = { retry: true, conditional: false };

export class StateService {
  readonly clock: Clock;
  readonly #stores: StoreTable;
  readonly #metrics: Metrics;
  readonly #policies: Policies;

  constructor({ stores, clock, metrics, policies }: StateServiceParts) {
    this.clock = clock;
    this.#stores = stores;
    this.#metrics = metrics;
    this.#policies = policies;
  }

  /** The opened store. Throws store-not-configured when there is none at all, store-not-found for an unknown name. */
  find(name: string): StoreEntry {
    const entry = this.#stores.find(name);
    if (entry !== undefined) return entry;
    throw this.#stores.size === 0 ? storeNotConfigured(name) : storeNotFound(name);
  }

  /** The value under a key, or null. Throws get-failed. */
  async get(storeName: string, request: GetRequest, call: Caller): Promise<Found | null> {
    const entry = this.find(storeName);
    const key = toKey(entry, request.key, "get-failed");
    const read = { strong: readConsistency(entry, request.consistency, "get-failed"), metadata: request.metadata };
    try {
      const found = await this.run(entry, "get", call, (each) => entry.store.get(key, read, each));
      return found === null ? null : opened(entry, found);
    } catch (error) {
      throw failure("get-failed", `fail to get ${request.key} from state store ${entry.name}`, error, entry);
    }
  }

  /** Writes one or more values. Several are not atomic: those that fail are told, the others stay. Throws save-failed. */
  async save(storeName: string, requests: readonly SaveRequest[], call: Caller): Promise<void> {
    const entry = this.find(storeName);
    const writes = requests.map((request) => wrapChecks(() => toWrite(entry, request, "save-failed"), savingIn(entry)));
    await this.#bulk(entry, requests, call, async (index) => {
      const write = writes[index];
      if (write === undefined) return;
      const retry = requests[index]?.retry ?? null;
      const conditional = write.etag !== null || write.firstWrite;
      await this.attempt(entry, call, { retry, conditional }, (each) => entry.store.set(write, each));
    });
  }

  /** Deletes a key; deleting what is not there succeeds. Throws delete-failed. */
  async delete(storeName: string, request: DeleteRequest, call: Caller): Promise<void> {
    const entry = this.find(storeName);
    const text = `failed deleting state with key ${request.key}`;
    const removal = wrapChecks(() => toRemoval(entry, request, "delete-failed"), text);
    const rules = { retry: request.retry, conditional: removal.etag !== null };
    try {
      await this.count(entry, "delete", call, () =>
        this.attempt(entry, call, rules, (each) => entry.store.remove(removal, each)),
      );
    } catch (error) {
      throw failure("delete-failed", text, error, entry);
    }
  }

  /**
   * Reads many keys; the answer has one item per key, in the order asked. A key that is asked for twice is read once.
   * Throws bulk-get-failed.
   */
  async bulkGet(storeName: string, request: BulkGetRequest, call: Caller): Promise<readonly BulkItem[]> {
    const entry = this.find(storeName);
    if (request.keys.length > BULK_KEYS_MAX) {
      const text = `a bulk get of ${request.keys.length} keys, want at most ${BULK_KEYS_MAX}`;
      throw invalid("bulk-get-failed", text, entry.name);
    }
    const keys = new Map(request.keys.map((key) => [key, toKey(entry, key, "bulk-get-failed")]));
    if (keys.size === 0) return [];
    try {
      const results = await this.run(entry, "bulk_get", call, (each) =>
        getMany(entry, [...keys.values()], request, each),
      );
      return request.keys.map((key) => toBulkItem(entry, key, results.get(keys.get(key) ?? "") ?? null));
    } catch (error) {
      throw failure("bulk-get-failed", null, error, entry);
    }
  }

  /** One call of a store: counted, and under the policies that the Component has. */
  run<T>(entry: StoreEntry, operation: StateOperation, call: Caller, task: (call: Call) => Promise<T>): Promise<T> {
    return this.count(entry, operation, call, () => {
      const policy = this.#policies.of(entry.name);
      return policy === null ? task(call) : policy.run(call, PLAIN, task);
    });
  }

  /** Counts the call in and out of the store and into the metrics. */
  async count<T>(entry: StoreEntry, operation: StateOperation, call: Caller, task: () => Promise<T>): Promise<T> {
    const startMs = this.clock.monotonicMs();
    let success = false;
    entry.enter();
    try {
      const result = await task();
      success = true;
      return result;
    } finally {
      entry.leave();
      const elapsedMs = this.clock.monotonicMs() - startMs;
      this.#metrics.state(entry.name, operation, success, elapsedMs);
      call.onStore?.(elapsedMs);
    }
  }

  /** Within a counted call: one step that is tried as the request's own retries say, or else as the policies do. */
  attempt<T>(entry: StoreEntry, call: Call, step: StepRules, task: (call: Call) => Promise<T>): Promise<T> {
    const { retry, conditional } = step;
    const policy = this.#policies.of(entry.name);
    const once = (): Promise<T> =>
      policy === null ? task(call) : policy.run(call, { retry: retry === null, conditional }, task);
    return retry === null ? once() : withRetries({ policy: retry, conditional, clock: this.clock, call }, once);
  }

  /** Runs one step per request, those of one key in their order, and joins what failed. */
  async #bulk(
    entry: StoreEntry,
    requests: readonly SaveRequest[],
    call: Caller,
    step: (index: number) => Promise<void>,
  ): Promise<void> {
    if (requests.length === 0) return;
    const errors: unknown[] = new Array(requests.length).fill(null);
    const lanes = [...byKey(requests).values()];
    try {
      await this.count(entry, "set", call, async () => {
        await inParallel(lanes.length, BULK_WIDTH_MAX, async (lane) => {
          for (const index of lanes[lane] ?? []) errors[index] = await outcome(() => step(index));
        });
        if (errors.some((error) => error !== null)) throw joined(requests, errors);
      });
    } catch (error) {
      throw failure("save-failed", savingIn(entry), error, entry);
    }
  }
}

function savingIn(entry: StoreEntry): string {
  return `failed saving state in state store ${entry.name}`;
}

/** Indexes of the requests by key, so that of two writes to one key the later one wins. */
function byKey(requests: readonly SaveRequest[]): Map<string, number[]> {
  const lanes = new Map<string, number[]>();
  for (const [index, request] of requests.entries()) {
    const lane = lanes.get(request.key);
    if (lane === undefined) lanes.set(request.key, [index]);
    else lane.push(index);
  }
  return lanes;
}

/** The error of a store or of a check; a fault of ours passes. */
async function outcome(step: () => Promise<void>): Promise<unknown> {
  try {
    await step();
    return null;
  } catch (error) {
    if (error instanceof StoreError || error instanceof StateError) return error;
    throw error;
  }
}

/**
 * One error for all that failed. Only conflicts and refusals: the joined error is one (a refusal wins, as with Dapr);
 * anything else among them makes it a failure of the store, since those items need another look than the others. Items
 * that may have been written are counted apart and told first.
 */
function joined(requests: readonly SaveRequest[], errors: readonly unknown[]): unknown {
  const failed = errors.flatMap((error, index) => (error === null ? [] : [{ error, key: requests[index]?.key ?? "" }]));
  if (requests.length === 1) return failed[0]?.error;
  const faults = new Set(failed.map(({ error }) => faultOf(error)));
  const fault = faults.has("failed") ? "failed" : faults.has("invalid") ? "invalid" : "conflict";
  const unknown = failed.filter(({ error }) => mayHaveHappened(error));
  const told = [...unknown, ...failed.filter(({ error }) => !mayHaveHappened(error))]
    .slice(0, FAILURES_TOLD_MAX)
    .map(({ error, key }) => `key ${JSON.stringify(key)}: ${storeErrorText(error)}`);
  if (failed.length > told.length) told.push(`and ${failed.length - told.length} more`);
  const maybe = unknown.length === 0 ? "" : `, ${unknown.length} of them may have been written all the same`;
  const text = `${failed.length} of ${requests.length} items failed${maybe}: ${told.join("; ")}`;
  return new StateError("save-failed", fault, text, {}, failed[0]?.error);
}

function mayHaveHappened(error: unknown): boolean {
  return error instanceof StoreError && (error.code === "timeout" || error.code === "unknown-outcome");
}

function toBulkItem(entry: StoreEntry, key: string, result: Found | null | StoreError): BulkItem {
  if (result instanceof StoreError) return { key, found: null, error: storeErrorText(result) };
  if (result === null || entry.core.cipher === null) return { key, found: result, error: null };
  try {
    return { key, found: opened(entry, result), error: null };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { key, found: null, error: storeErrorText(error) };
  }
}

/** What was found, decrypted where the store is encrypted. Throws a StoreError of code `corrupt` when no key opens it. */
export function opened(entry: StoreEntry, found: Found): Found {
  const { cipher } = entry.core;
  return cipher === null ? found : { ...found, bytes: cipher.open(found.bytes) };
}

/** Puts the operation's words before the text of a refused request. An illegal key has words of its own. */
export function wrapChecks<T>(check: () => T, text: string): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof StateError) || error.code === "illegal-key") throw error;
    throw invalid(error.code, `${text}: ${error.message}`, error.subject.store ?? "");
  }
}

/** A store's error as an answer. What is no error of a store passes as it is: it is a fault of ours. */
export function failure(code: StateError["code"], text: string | null, error: unknown, entry: StoreEntry): unknown {
  const isOurs = error instanceof StateError;
  if (!isOurs && !(error instanceof StoreError)) return error;
  const message = text === null ? storeErrorText(error) : `${text}: ${storeErrorText(error)}`;
  return new StateError(code, faultOf(error), message, { store: entry.name }, error);
}
