// state.azure.cosmosdb as requests with a partition in their metadata meet it, and as requests without one do. The suite's
// own requests have no metadata, and a transaction's keys lie together only where it says so.
import { driver } from "#sidecar/stores/cosmosdb/cosmosdb.ts";
import type { Change, Metadata, Store, StoreDriver } from "#sidecar/stores/store.ts";

/** Every request with the same metadata `partitionKey`. */
export const inOnePartition: StoreDriver = changed((store) => {
  const metadata: Metadata = { partitionKey: "conformance" };
  const placed = (change: Change): Change =>
    change.kind === "upsert"
      ? { kind: "upsert", write: { ...change.write, metadata: { ...metadata, ...change.write.metadata } } }
      : { kind: "delete", removal: { ...change.removal, metadata: { ...metadata, ...change.removal.metadata } } };
  return {
    ...membersOf(store),
    get: (key, read, call) => store.get(key, { ...read, metadata: { ...metadata, ...read.metadata } }, call),
    set: (write, call) => store.set({ ...write, metadata: { ...metadata, ...write.metadata } }, call),
    remove: (removal, call) => store.remove({ ...removal, metadata: { ...metadata, ...removal.metadata } }, call),
    getMany: (keys, read, call) =>
      must(store.getMany).call(store, keys, { ...read, metadata: { ...metadata, ...read.metadata } }, call),
    transact: (changes, call) => must(store.transact).call(store, changes.map(placed), call),
  };
});

/** Every key in a partition of its own, where no two of them can be in one transaction. */
export const inOwnPartitions: StoreDriver = changed((store) => {
  const { transact: _left, ...members } = membersOf(store);
  const capabilities = members.capabilities.filter((word) => word !== "TRANSACTIONAL");
  return { ...members, features: { ...store.features, transactions: false }, capabilities };
});

function changed(change: (store: Store) => Store): StoreDriver {
  return {
    ...driver,
    decode(properties, others) {
      const prepared = driver.decode(properties, others);
      return { ...prepared, open: async (context) => change(await prepared.open(context)) };
    },
  };
}

/** A store as plain members, which can be left out or replaced one by one. */
function membersOf(store: Store): Store {
  const { features, limits, traits, capabilities, defaultTtlSec } = store;
  return {
    features,
    limits,
    traits,
    capabilities,
    defaultTtlSec,
    get: (key, read, call) => store.get(key, read, call),
    set: (write, call) => store.set(write, call),
    remove: (removal, call) => store.remove(removal, call),
    getMany: (keys, read, call) => must(store.getMany).call(store, keys, read, call),
    transact: (changes, call) => must(store.transact).call(store, changes, call),
    list: (request, call) => must(store.list).call(store, request, call),
    removeRange: (range, limit, call) => must(store.removeRange).call(store, range, limit, call),
    ping: (call) => store.ping(call),
    close: () => store.close(),
  };
}

function must<T>(member: T | undefined): T {
  if (member === undefined) throw new Error("the store lacks a method that it had when this was written");
  return member;
}
