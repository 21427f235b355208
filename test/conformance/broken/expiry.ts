// Stores that are wrong about expiry.
import { READ } from "../requests.ts";
import { type BrokenStore, mustHave, withRows, withWrites } from "./broken-store.ts";

export const expiryFaults: readonly BrokenStore[] = [
  {
    name: "drops the expiry",
    caughtBy: [
      "reports the expiry of a value, one by one and in bulk",
      "lets a value go when its time is over, and not before",
    ],
    spoil: (store) => withWrites(store, (write) => ({ ...write, ttlSec: null })),
  },
  {
    name: "lets values go in a tenth of their time",
    caughtBy: ["lets a value go when its time is over, and not before"],
    spoil(store) {
      const early = withWrites(store, (write) => write);
      const goes = new Map<string, number>();
      return {
        ...early,
        async set(write, each) {
          await store.set(write, each);
          goes.set(write.key, write.ttlSec === null ? Number.POSITIVE_INFINITY : Date.now() + write.ttlSec * 100);
        },
        async get(key, read, each) {
          return Date.now() < (goes.get(key) ?? 0) ? store.get(key, read, each) : null;
        },
      };
    },
  },
  {
    name: "keeps the old expiry when a write has none, as Dapr's Redis does",
    caughtBy: ["clears the expiry with a write that has none", "keeps a value whose expiry a later write cleared"],
    spoil: (store) => ({
      async set(write, each) {
        const expiresAtMs = (await store.get(write.key, READ, each))?.expiresAtMs ?? null;
        const oldSec = expiresAtMs === null ? null : Math.ceil((expiresAtMs - Date.now()) / 1000);
        return store.set({ ...write, ttlSec: write.ttlSec ?? oldSec }, each);
      },
    }),
  },
  {
    name: "tells no expiry, as Dapr's Redis does",
    caughtBy: ["reports the expiry of a value, one by one and in bulk", "sets and clears the expiry of each change"],
    spoil: (store) => withRows(store, (row) => ({ ...row, expiresAtMs: null })),
  },
  {
    name: "keeps the first expiry of a key beside its values",
    caughtBy: [
      "replaces the expiry with every write that has one",
      "keeps a value whose expiry a later write moved back",
      "gives a value that was deleted and written again no expiry",
    ],
    spoil(store) {
      const first = new Map<string, number>();
      return {
        set(write, each) {
          const ttlSec = first.get(write.key) ?? write.ttlSec;
          if (ttlSec !== null) first.set(write.key, ttlSec);
          return store.set({ ...write, ttlSec }, each);
        },
      };
    },
  },
  {
    name: "compares a transaction with values that have expired",
    caughtBy: ["counts an expired value as missing inside, for its own ETag and for first-write"],
    spoil(store) {
      const etags = new Map<string, string | null>();
      return {
        async get(key, read, each) {
          const found = await store.get(key, read, each);
          if (found !== null) etags.set(key, found.etag);
          return found;
        },
        transact: (changes, each) =>
          mustHave(store.transact).call(
            store,
            changes.map((change) => {
              if (change.kind === "delete" || change.write.etag !== etags.get(change.write.key)) return change;
              return { ...change, write: { ...change.write, etag: null } };
            }),
            each,
          ),
      };
    },
  },
  {
    name: "sets the expiry although the write was refused",
    caughtBy: ["leaves the expiry alone when a write is refused"],
    spoil: (store) => ({
      async set(write, each) {
        const before = await store.get(write.key, READ, each);
        try {
          await store.set(write, each);
        } catch (error) {
          // Another change of the value would be noticed elsewhere: only the expiry is wrong.
          if (before !== null)
            await store.set({ ...write, bytes: before.bytes, etag: before.etag, firstWrite: false }, each);
          throw error;
        }
      },
    }),
  },
];
