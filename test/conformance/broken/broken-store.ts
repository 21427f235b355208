// How a broken store is made: the in-memory driver with some of its operations replaced by careless ones.
import { driver as good } from "#sidecar/stores/in-memory/in-memory.ts";
import {
  type Call,
  type Change,
  type Found,
  type OpenContext,
  type Read,
  type Store,
  type StoreDriver,
  storeDriver,
  type Write,
} from "#sidecar/stores/store.ts";
import { inMemory } from "../in-memory.ts";
import type { Subject } from "../subject.ts";

export interface BrokenStore {
  /** What is wrong with it: "drops the expiry". */
  readonly name: string;
  /** The cases that have to fail on it. */
  readonly caughtBy: readonly string[];
  /** The members that differ from the good store. */
  readonly spoil: (store: Store, context: OpenContext) => Partial<Store>;
}

/** A subject over the broken store, with all that the good one declares. */
export function brokenSubject({ name, spoil }: BrokenStore): Subject {
  return { ...inMemory, name: `a store that ${name}`, driver: spoiled(spoil) };
}

function spoiled(spoil: BrokenStore["spoil"]): StoreDriver {
  return storeDriver<Record<never, never>>({
    type: good.type,
    versions: good.versions,
    defaultVersion: good.defaultVersion,
    fields: {},
    check: () => [],
    async open(_settings, context) {
      const store = await good.decode([], []).open(context);
      return { ...members(store), ...spoil(store, context) };
    },
  });
}

/** The members of a store as properties of a plain object, each bound to the store. */
function members(store: Store): Store {
  return {
    features: store.features,
    limits: store.limits,
    traits: store.traits,
    capabilities: store.capabilities,
    defaultTtlSec: store.defaultTtlSec,
    get: (key, read, call) => store.get(key, read, call),
    set: (write, call) => store.set(write, call),
    remove: (removal, call) => store.remove(removal, call),
    getMany: (keys, read, call) => mustHave(store.getMany).call(store, keys, read, call),
    transact: (changes, call) => mustHave(store.transact).call(store, changes, call),
    list: (request, call) => mustHave(store.list).call(store, request, call),
    count: (range, call) => mustHave(store.count).call(store, range, call),
    removeRange: (range, limit, call) => mustHave(store.removeRange).call(store, range, limit, call),
    ping: (call) => store.ping(call),
    close: () => store.close(),
  };
}

/** The in-memory store has the optional members. */
export function mustHave<T>(member: T | undefined): T {
  if (member === undefined) throw new Error("the in-memory store lost a member");
  return member;
}

type Rows = Awaited<ReturnType<NonNullable<Store["getMany"]>>>;

/** A store whose writes go through `spoilWrite` first, alone and in transactions. */
export function withWrites(store: Store, spoilWrite: (write: Write) => Write): Partial<Store> {
  const spoilChange = (change: Change): Change =>
    change.kind === "upsert" ? { kind: "upsert", write: spoilWrite(change.write) } : change;
  return {
    set: (write, each) => store.set(spoilWrite(write), each),
    transact: (changes, each) => mustHave(store.transact).call(store, changes.map(spoilChange), each),
  };
}

/** A store whose rows go through `spoilRow` on their way out. */
export function withRows(store: Store, spoilRow: (row: Found) => Found): Partial<Store> {
  return {
    async get(key, read, each) {
      const row = await store.get(key, read, each);
      return row === null ? null : spoilRow(row);
    },
    async getMany(keys, read, each) {
      const rows = await readMany(store, keys, read, each);
      return rows.map((row) => (row !== null && "bytes" in row ? spoilRow(row) : row));
    },
  };
}

/** `getMany` of the good store. */
export function readMany(store: Store, keys: readonly string[], read: Read, each: Call): Promise<Rows> {
  return mustHave(store.getMany).call(store, keys, read, each);
}
