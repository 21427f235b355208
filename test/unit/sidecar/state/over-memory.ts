// What the tests of walks and bulk writes share: a service over the in-memory store, some of whose members a test replaces.
import { never, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { noPolicies } from "#sidecar/state/policies.ts";
import type { DeleteRequest, SaveRequest } from "#sidecar/state/requests.ts";
import { StateService } from "#sidecar/state/service.ts";
import { type EntryCore, StoreEntry, type StoreTable } from "#sidecar/state/table.ts";
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import type { Call, Store } from "#sidecar/stores/store.ts";
import { PLAIN_CORE } from "#test/unit/sidecar/core.ts";

export const call: Call = { signal: new AbortController().signal };

export interface Over {
  readonly store: Store;
  readonly service: StateService;
  /** "list true": each counted call, and whether it succeeded. */
  readonly counted: readonly string[];
}

export interface OverOptions {
  readonly name?: string;
  readonly keyPrefix?: string;
  readonly core?: Partial<EntryCore>;
  /** Members to replace; `undefined` takes one away. */
  readonly parts?: (store: Store) => { [Name in keyof Store]?: Store[Name] | undefined };
  /** Another one's store. */
  readonly store?: Store;
}

export async function overMemory(options: OverOptions = {}): Promise<Over> {
  const store = options.store ?? (await open());
  const counted: string[] = [];
  const { name = "s", keyPrefix = "app||", core = {} } = options;
  const entry = new StoreEntry({
    name,
    type: "state.in-memory",
    version: "v1",
    keyPrefix,
    core: { ...PLAIN_CORE, ...core },
    store: options.parts === undefined ? store : replaced(store, options.parts(store)),
    openedAtMs: 0,
  });
  const stores: StoreTable = { size: 1, find: (asked) => (asked === name ? entry : undefined), all: () => [entry] };
  const metrics = {
    ...noMetrics,
    state: (_name: string, operation: string, success: boolean) => void counted.push(`${operation} ${success}`),
  };
  const service = new StateService({ stores, clock: systemClock, metrics, policies: noPolicies, ending: never });
  return { store, service, counted };
}

async function open(): Promise<Store> {
  const log = createLog({
    level: "error",
    json: false,
    appId: "app",
    instance: "here",
    version: "0",
    write: () => undefined,
    nowMs: systemClock.nowMs,
  });
  const { signal } = call;
  const context = { component: "s", appId: "app", clock: systemClock, random: systemRandom, log, signal };
  return driver.decode([], []).open(context);
}

/** The store with some members in place of its own. */
function replaced(store: Store, parts: object): Store {
  return new Proxy(store, {
    get(target, member) {
      if (member in parts) return Reflect.get(parts, member);
      const value: unknown = Reflect.get(target, member, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

export function saving(key: string, parts: Partial<SaveRequest> = {}): SaveRequest {
  const options = { concurrency: "", consistency: "" };
  const bytes = Buffer.from(JSON.stringify(key));
  return { key, bytes, isJson: true, etag: "", options, metadata: {}, retry: null, ...parts };
}

export function deleting(key: string, parts: Partial<DeleteRequest> = {}): DeleteRequest {
  return { key, etag: "", options: { concurrency: "", consistency: "" }, metadata: {}, retry: null, ...parts };
}
