// Stores that are wrong about ETags and first-write.
import type { Removal } from "#sidecar/stores/store.ts";
import { READ } from "../requests.ts";
import { type BrokenStore, withWrites } from "./broken-store.ts";

export const conditionFaults: readonly BrokenStore[] = [
  {
    name: "ignores ETags",
    caughtBy: [
      "refuses a write with a stale ETag and writes nothing",
      "lets one of many writes with the same ETag win",
      "answers as the reference model does",
    ],
    spoil: (store) => withWrites(store, (write) => ({ ...write, etag: null })),
  },
  {
    name: "lets any ETag delete",
    caughtBy: [
      "refuses a delete with a stale ETag and keeps the value",
      "lets one of many deletes with the same ETag win",
    ],
    spoil: (store) => ({ remove: (removal: Removal, each) => store.remove({ ...removal, etag: null }, each) }),
  },
  {
    name: "creates what an ETag came for, as Dapr's Redis does",
    caughtBy: ["refuses an ETag for a key that is not there, and creates nothing"],
    spoil: (store) => ({
      async set(write, each) {
        const isThere = (await store.get(write.key, READ, each)) !== null;
        return store.set(isThere ? write : { ...write, etag: null }, each);
      },
    }),
  },
  {
    name: "ignores first-write",
    caughtBy: ["never replaces a value, whichever way that was written", "lets one of many first-writes win"],
    spoil: (store) => withWrites(store, (write) => ({ ...write, firstWrite: false })),
  },
  {
    name: "answers the same ETag after a write",
    caughtBy: ["makes a new ETag with every write, also of the same bytes"],
    spoil(store) {
      const etags = new Map<string, string>();
      return {
        async get(key, read, each) {
          const row = await store.get(key, read, each);
          if (row === null) return null;
          const etag = etags.get(key) ?? row.etag ?? "";
          etags.set(key, etag);
          return { ...row, etag };
        },
      };
    },
  },
  {
    name: "waits between the check and the write",
    caughtBy: [
      "loses no increment among callers that compare ETags",
      "lets one of many first-writes win",
      "lets one of many writes with the same ETag win",
    ],
    spoil: (store) => ({
      async set(write, each) {
        const row = await store.get(write.key, READ, each);
        const holds = write.etag === null ? !write.firstWrite || row === null : row?.etag === write.etag;
        if (!holds) return store.set(write, each);
        await new Promise((resolve) => setImmediate(resolve));
        return store.set({ ...write, etag: null, firstWrite: false }, each);
      },
    }),
  },
  {
    name: "counts one version for all keys",
    caughtBy: ["changes no ETag but that of the key written"],
    spoil(store) {
      let writes = 0;
      return {
        set: (write, each) => store.set(write, each).then(() => void writes++),
        async get(key, read, each) {
          const row = await store.get(key, read, each);
          return row === null ? null : { ...row, etag: String(writes) };
        },
      };
    },
  },
  {
    name: "never again takes a plain write for what first-write created, as Dapr's Redis does",
    caughtBy: ["lets a plain write replace what first-write created"],
    spoil(store) {
      const marked = new Set<string>();
      return {
        async set(write, each) {
          await store.set(marked.has(write.key) ? { ...write, firstWrite: true } : write, each);
          if (write.firstWrite) marked.add(write.key);
        },
      };
    },
  },
  {
    name: "compares the beginning of an ETag",
    caughtBy: ["compares ETags as whole texts"],
    spoil: (store) => ({
      async set(write, each) {
        const etag = (await store.get(write.key, READ, each))?.etag ?? null;
        return store.set(etag !== null && write.etag?.startsWith(etag) ? { ...write, etag } : write, each);
      },
    }),
  },
];
