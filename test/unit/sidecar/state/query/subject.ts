// A state service over one store, and the ways in which the tests of queries ask it.
import { never, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { noMetrics, type StateOperation } from "#sidecar/metrics.ts";
import { noPolicies, type Policy } from "#sidecar/state/policies.ts";
import { type QueryAnswer, queryState } from "#sidecar/state/query/run.ts";
import { type Caller, StateService } from "#sidecar/state/service.ts";
import { type EntryCore, StoreEntry } from "#sidecar/state/table.ts";
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import type { ListedRow, ListRequest, Store } from "#sidecar/stores/store.ts";
import { PLAIN_CORE } from "#test/unit/sidecar/core.ts";

export const CALL: Caller = { signal: new AbortController().signal };

export interface SubjectOptions {
  readonly name?: string;
  readonly keyPrefix?: string;
  readonly core?: Partial<EntryCore>;
  /** Gets "query true" or "query false" for each call that was counted. */
  readonly counted?: string[];
  readonly policy?: Policy;
}

export type Ask = (query: unknown, bytesMax?: number, caller?: Caller) => Promise<QueryAnswer>;

/** Asks queries of a store: as JSON text, or as what JSON.stringify makes text of. */
export function asking(store: Store, options: SubjectOptions = {}): Ask {
  const { name = "s", keyPrefix = "app||", counted = [], policy } = options;
  const core = { ...PLAIN_CORE, ...options.core };
  const entry = new StoreEntry({ name, type: "state.test", version: "v1", keyPrefix, core, store, openedAtMs: 0 });
  const state = (_name: string, operation: StateOperation, success: boolean): void => {
    counted.push(`${operation} ${success}`);
  };
  const service = new StateService({
    stores: { size: 1, find: (wanted) => (wanted === name ? entry : undefined), all: () => [entry] },
    clock: systemClock,
    metrics: { ...noMetrics, state },
    policies: policy === undefined ? noPolicies : { of: () => policy },
    ending: never,
  });
  return (query, bytesMax = 0, caller = CALL) => {
    const text = typeof query === "string" ? query : JSON.stringify(query);
    return queryState(service, name, { body: Buffer.from(text), bytesMax }, caller);
  };
}

export function openStore(): Promise<Store> {
  const log = createLog({
    level: "fatal",
    json: true,
    appId: "app",
    instance: "i",
    version: "0",
    write: () => undefined,
    nowMs: () => 0,
  });
  return driver.decode([], []).open({
    component: "s",
    appId: "app",
    clock: systemClock,
    random: systemRandom,
    log,
    signal: CALL.signal,
  });
}

/** Writes values by key, the prefix included. A text is stored as it is. */
export async function fill(store: Store, values: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [key, value] of Object.entries(values)) {
    const bytes =
      value instanceof Uint8Array ? value : Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
    const plain = { isJson: false, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
    await store.set({ ...plain, key, bytes }, CALL);
  }
}

/** The same store with a walk of its own: the rows that `tell` gives, in no order, in pages of at most `pageRows`. */
export function walking(store: Store, tell: () => Iterable<ListedRow>, pageRows = 1000): Store {
  let walk: Iterator<ListedRow> = [][Symbol.iterator]();
  const list = async ({ after, limit }: ListRequest): ReturnType<NonNullable<Store["list"]>> => {
    if (after === null) walk = tell()[Symbol.iterator]();
    const rows: ListedRow[] = [];
    while (rows.length < Math.min(limit, pageRows)) {
      const next = walk.next();
      if (next.done === true) return { rows, next: null };
      rows.push(next.value);
    }
    return { rows, next: String(Number(after ?? 0) + 1) };
  };
  const { features, limits, capabilities, defaultTtlSec } = store;
  return {
    features,
    limits,
    capabilities,
    defaultTtlSec,
    traits: { ...store.traits, listOrder: "none" },
    get: (...args) => store.get(...args),
    set: (...args) => store.set(...args),
    remove: (...args) => store.remove(...args),
    ping: (...args) => store.ping(...args),
    close: () => store.close(),
    list,
  };
}

export function row(key: string, value: unknown): ListedRow {
  const bytes = value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value));
  return { key, found: { bytes, etag: "1", expiresAtMs: null } };
}
