// Stores that are wrong about bytes and keys.
import { StoreError } from "#sidecar/stores/store.ts";
import { type BrokenStore, readMany, withRows, withWrites } from "./broken-store.ts";

/** The widths of the columns of a store that cuts. */
const KEY_COLUMN = 255;
const VALUE_COLUMN = 65_535;

function parsed(bytes: Uint8Array): Uint8Array {
  try {
    return Buffer.from(JSON.stringify(JSON.parse(Buffer.from(bytes).toString())));
  } catch {
    // Not JSON: even this store keeps such bytes.
    return bytes;
  }
}

export const valueFaults: readonly BrokenStore[] = [
  {
    name: "prints JSON anew",
    caughtBy: [
      "keeps white space byte for byte",
      "keeps white space around a value byte for byte",
      "keeps a whole number beyond 2^53 byte for byte",
    ],
    spoil: (store) => withWrites(store, (write) => ({ ...write, bytes: parsed(write.bytes) })),
  },
  {
    name: "takes raw bytes for UTF-8",
    caughtBy: ["gives back raw all 256 bytes", "gives back raw broken UTF-8"],
    spoil: (store) =>
      withWrites(store, (write) => ({ ...write, bytes: Buffer.from(Buffer.from(write.bytes).toString()) })),
  },
  {
    name: "keeps the caller's buffer",
    caughtBy: ["copies the bytes: a buffer that changes after the write changes nothing"],
    spoil(store) {
      const buffers = new Map<string, Uint8Array>();
      return {
        async set(write, each) {
          await store.set(write, each);
          buffers.set(write.key, write.bytes);
        },
        async get(key, read, each) {
          const row = await store.get(key, read, each);
          return row === null ? null : { ...row, bytes: buffers.get(key) ?? row.bytes };
        },
      };
    },
  },
  {
    name: "takes upper and lower case for the same key",
    caughtBy: ["keeps apart keys that differ only in case"],
    spoil: (store) => ({
      get: (key, read, each) => store.get(key.toLowerCase(), read, each),
      getMany: (keys, read, each) =>
        readMany(
          store,
          keys.map((key) => key.toLowerCase()),
          read,
          each,
        ),
      set: (write, each) => store.set({ ...write, key: write.key.toLowerCase() }, each),
      remove: (removal, each) => store.remove({ ...removal, key: removal.key.toLowerCase() }, each),
    }),
  },
  {
    name: "cuts what is long, as a column does",
    caughtBy: ["gives back a mebibyte of JSON", "gives back a mebibyte of raw bytes", "takes long keys whole"],
    spoil: (store) => ({
      get: (key, read, each) => store.get(key.slice(0, KEY_COLUMN), read, each),
      set: (write, each) =>
        store.set({ ...write, key: write.key.slice(0, KEY_COLUMN), bytes: write.bytes.slice(0, VALUE_COLUMN) }, each),
    }),
  },
  {
    name: "stores the buffer behind a window",
    caughtBy: ["stores the window and not the buffer behind it"],
    spoil: (store) => withWrites(store, (write) => ({ ...write, bytes: new Uint8Array(write.bytes.buffer) })),
  },
  {
    name: "takes the caller's buffer away",
    caughtBy: ["leaves the caller's buffer as it was, and usable", "copies the bytes before it resolves"],
    spoil: (store) =>
      withWrites(store, (write) => {
        const bytes = write.bytes.slice();
        write.bytes.fill(0);
        return { ...write, bytes };
      }),
  },
  {
    name: "decodes whatever reads as base64",
    caughtBy: ["gives back raw bytes that read as base64"],
    spoil: (store) => withRows(store, (row) => ({ ...row, bytes: unbase64(row.bytes) })),
  },
  {
    name: "writes its values into its errors",
    caughtBy: ["keeps values out of its errors and its log"],
    spoil: (store) => ({
      set: (write, each) =>
        store.set(write, each).catch((error: unknown) => {
          const shown = Buffer.from(write.bytes).toString();
          throw error instanceof StoreError ? new StoreError(error.code, `${error.message}: ${shown}`) : error;
        }),
    }),
  },
];

function unbase64(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString("latin1");
  const decoded = Buffer.from(text, "base64");
  return text !== "" && decoded.toString("base64") === text ? decoded : bytes;
}
