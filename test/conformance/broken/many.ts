// Stores that are wrong about transactions and bulk reads.
import { type Call, type Change, type Found, type Store, StoreError } from "#sidecar/stores/store.ts";
import { call, READ } from "../requests.ts";
import { type BrokenStore, mustHave, readMany } from "./broken-store.ts";

/** One change alone, outside any transaction. */
function applyOne(store: Store, change: Change, each: Call): Promise<void> {
  return change.kind === "upsert" ? store.set(change.write, each) : store.remove(change.removal, each);
}

export const transactionFaults: readonly BrokenStore[] = [
  {
    name: "applies a transaction up to the change that fails",
    caughtBy: [
      "applies nothing when one upsert has a stale ETag, wherever it stands",
      "applies nothing when one first-write meets a value, wherever it stands",
      "never shows half a transaction",
    ],
    spoil: (store) => ({
      async transact(changes, each) {
        for (const change of changes) {
          await applyOne(store, change, each);
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    }),
  },
  {
    name: "compares conditions change by change",
    caughtBy: [
      "compares every ETag with the state before the first change",
      "compares first-write with the state before the first change",
    ],
    spoil: (store) => ({
      async transact(changes, each) {
        const undo = new Map<string, Found | null>();
        try {
          for (const change of changes) {
            const key = change.kind === "upsert" ? change.write.key : change.removal.key;
            if (!undo.has(key)) undo.set(key, await store.get(key, READ, each));
            await applyOne(store, change, each);
          }
        } catch (error) {
          await Promise.all([...undo].map(([key, row]) => restore(store, key, row)));
          throw error;
        }
      },
    }),
  },
  {
    name: "applies a transaction backwards",
    caughtBy: ["applies changes in their order", "takes a key several times: the last change stands"],
    spoil: (store) => ({
      transact: (changes, each) => mustHave(store.transact).call(store, changes.toReversed(), each),
    }),
  },
  {
    name: "fails a delete of what is not there",
    caughtBy: ["deletes a key that is not there", "answers nothing after a delete, and deletes what is not there"],
    spoil: (store) => ({
      async transact(changes, each) {
        for (const change of changes) if (change.kind === "delete") await mustBeThere(store, change.removal.key);
        return mustHave(store.transact).call(store, changes, each);
      },
      async remove(removal, each) {
        await mustBeThere(store, removal.key);
        return store.remove(removal, each);
      },
    }),
  },
];

async function mustBeThere(store: Store, key: string): Promise<void> {
  if ((await store.get(key, READ, call())) === null) throw new StoreError("failed", "there is nothing to delete");
}

function restore(store: Store, key: string, row: Found | null): Promise<void> {
  const plain = { key, etag: null, firstWrite: false, strong: false, metadata: {} };
  if (row === null) return store.remove(plain, call());
  return store.set({ ...plain, bytes: row.bytes, isJson: false, ttlSec: null }, call());
}

export const bulkFaults: readonly BrokenStore[] = [
  {
    name: "answers bulk reads in its own order, missing keys last",
    caughtBy: ["answers in the order of the keys", "answers null in the place of a missing key"],
    spoil: (store) => ({
      async getMany(keys, read, each) {
        const rows = await readMany(store, keys.toSorted(), read, each);
        return [...rows.filter((row) => row !== null), ...rows.filter((row) => row === null)];
      },
    }),
  },
  {
    name: "answers a key once that was asked for twice",
    caughtBy: ["answers a key as often as it is asked for"],
    spoil: (store) => ({ getMany: (keys, read, each) => readMany(store, [...new Set(keys)], read, each) }),
  },
  {
    name: "fails a bulk read of nothing, as an empty IN list does",
    caughtBy: ["answers nothing when asked for nothing"],
    spoil: (store) => ({
      async getMany(keys, read, each) {
        if (keys.length === 0) throw new StoreError("failed", "syntax error near )");
        return readMany(store, keys, read, each);
      },
    }),
  },
];
