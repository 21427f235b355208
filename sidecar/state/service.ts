// The rules of the state API, the same for all stores and all surfaces: find the store, check, call, count.
// Knows no driver and no HTTP word.
import type { Clock } from "#kit/clock.ts";
import type { Metrics, StateOperation } from "../metrics.ts";
import { type Call, type Found, type Metadata, type Removal, StoreError, type Write } from "../stores/store.ts";
import {
  faultOf,
  invalid,
  StateError,
  type StateErrorCode,
  storeErrorText,
  storeNotConfigured,
  storeNotFound,
} from "./errors.ts";
import { getMany } from "./get-many.ts";
import { ItemsFailed, joined, type Outcome, runEach } from "./outcomes.ts";
import type { AttemptRules, Policies } from "./policies.ts";
import { type DeleteRequest, readConsistency, type SaveRequest, toKey, toRemoval, toWrite } from "./requests.ts";
import { type RetryPolicy, withRetries } from "./retry.ts";
import type { StoreEntry, StoreTable } from "./table.ts";

/** Most keys of one bulk get. */
const BULK_KEYS_MAX = 100_000;

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
  /** Aborts when the sidecar ends. */
  readonly ending: AbortSignal;
}

/** How one step of a request may be tried again. */
export interface StepRules {
  /** The request's own retries; null when it brings none. */
  readonly retry: RetryPolicy | null;
  readonly conditional: boolean;
}

/** A request of many items, each of which has a step of its own. */
export interface EachItem<Item extends { readonly key: string }> {
  readonly operation: StateOperation;
  readonly items: readonly Item[];
  /** Rejects with a StoreError or StateError for what is wrong with this item. */
  readonly step: (item: Item) => Promise<void>;
}

export class StateService {
  readonly clock: Clock;
  readonly #stores: StoreTable;
  readonly #metrics: Metrics;
  readonly #policies: Policies;
  readonly #ending: AbortSignal;
  readonly #plain: AttemptRules;

  constructor({ stores, clock, metrics, policies, ending }: StateServiceParts) {
    this.clock = clock;
    this.#stores = stores;
    this.#metrics = metrics;
    this.#policies = policies;
    this.#ending = ending;
    this.#plain = { retry: true, conditional: false, ending };
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
    const items = requests.map((request) => ({
      key: request.key,
      retry: request.retry,
      write: wrapChecks(() => toWrite(entry, request, "save-failed"), savingIn(entry)),
    }));
    const step = ({ write, retry }: (typeof items)[number]): Promise<void> => this.write(entry, write, retry, call);
    const outcomes = await this.each(entry, { operation: "set", items, step }, call);
    if (outcomes.every(({ error }) => error === null)) return;
    throw failure("save-failed", savingIn(entry), joined("save-failed", outcomes), entry);
  }

  /** Deletes a key; deleting what is not there succeeds. Throws delete-failed. */
  async delete(storeName: string, request: DeleteRequest, call: Caller): Promise<void> {
    const entry = this.find(storeName);
    const text = deletingIn(request.key);
    const removal = wrapChecks(() => toRemoval(entry, request, "delete-failed"), text);
    try {
      await this.count(entry, "delete", call, () => this.erase(entry, removal, request.retry, call));
    } catch (error) {
      throw failure("delete-failed", text, error, entry);
    }
  }

  /**
   * Deletes one or more keys. Several are not atomic: those that fail are told, the others are gone. Throws
   * bulk-delete-failed.
   */
  async bulkDelete(storeName: string, requests: readonly DeleteRequest[], call: Caller): Promise<void> {
    const entry = this.find(storeName);
    const code = "bulk-delete-failed";
    const items = requests.map((request) => ({
      key: request.key,
      retry: request.retry,
      removal: wrapChecks(() => toRemoval(entry, request, code), deletingIn(request.key)),
    }));
    const step = ({ removal, retry }: (typeof items)[number]): Promise<void> => this.erase(entry, removal, retry, call);
    const outcomes = await this.each(entry, { operation: "bulk_delete", items, step }, call);
    if (outcomes.every(({ error }) => error === null)) return;
    throw failure(code, `failed deleting state in state store ${entry.name}`, joined(code, outcomes), entry);
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
      return policy === null ? task(call) : policy.run(call, this.#plain, task);
    });
  }

  /** Counts the call in and out of the store and into the metrics of its operation; null: into none. */
  async count<T>(
    entry: StoreEntry,
    operation: StateOperation | null,
    call: Caller,
    task: () => Promise<T>,
  ): Promise<T> {
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
      if (operation !== null) this.#metrics.state(entry.name, operation, success, elapsedMs);
      call.onStore?.(elapsedMs);
    }
  }

  /** Within a counted call: one step that is tried as the request's own retries say, or else as the policies do. */
  attempt<T>(entry: StoreEntry, call: Call, step: StepRules, task: (call: Call) => Promise<T>): Promise<T> {
    const { retry, conditional } = step;
    const policy = this.#policies.of(entry.name);
    const ending = this.#ending;
    const once = (): Promise<T> =>
      policy === null ? task(call) : policy.run(call, { retry: retry === null, conditional, ending }, task);
    return retry === null ? once() : withRetries({ policy: retry, conditional, ending, clock: this.clock, call }, once);
  }

  /** Within a counted call: one checked write. Rejects with a StoreError. */
  write(entry: StoreEntry, write: Write, retry: RetryPolicy | null, call: Call): Promise<void> {
    const conditional = write.etag !== null || write.firstWrite;
    return this.attempt(entry, call, { retry, conditional }, (each) => entry.store.set(write, each));
  }

  /** Within a counted call: one checked delete. Rejects with a StoreError. */
  erase(entry: StoreEntry, removal: Removal, retry: RetryPolicy | null, call: Call): Promise<void> {
    const conditional = removal.etag !== null || removal.firstWrite;
    return this.attempt(entry, call, { retry, conditional }, (each) => entry.store.remove(removal, each));
  }

  /**
   * One counted call with a step per item, those of one key in their order. Gives each item's error or null; the call
   * counts as a failed one when an item failed.
   */
  async each<Item extends { readonly key: string }>(
    entry: StoreEntry,
    { operation, items, step }: EachItem<Item>,
    call: Caller,
  ): Promise<readonly Outcome[]> {
    if (items.length === 0) return [];
    let outcomes: readonly Outcome[] = [];
    try {
      await this.count(entry, operation, call, async () => {
        outcomes = await runEach(items, step);
        if (outcomes.some(({ error }) => error !== null)) throw new ItemsFailed();
      });
    } catch (error) {
      if (!(error instanceof ItemsFailed)) throw error;
    }
    return outcomes;
  }
}

export function savingIn(entry: StoreEntry): string {
  return `failed saving state in state store ${entry.name}`;
}

export function deletingIn(key: string): string {
  return `failed deleting state with key ${key}`;
}

/** One key's answer out of what the store said, decrypted where it is encrypted. */
export function toBulkItem(entry: StoreEntry, key: string, result: Found | null | StoreError): BulkItem {
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
export function failure(code: StateErrorCode, text: string | null, error: unknown, entry: StoreEntry): unknown {
  if (!(error instanceof StateError) && !(error instanceof StoreError)) return error;
  return toStateError(code, text, error, entry);
}

/** The error of a store or of a check under the code of what was asked for. */
export function toStateError(
  code: StateErrorCode,
  text: string | null,
  error: StoreError | StateError,
  entry: StoreEntry,
): StateError {
  const message = text === null ? storeErrorText(error) : `${text}: ${storeErrorText(error)}`;
  return new StateError(code, faultOf(error), message, { store: entry.name }, error);
}
