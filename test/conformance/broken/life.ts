// Stores that are wrong about closing, signals, errors and what they declare.
import type { Store } from "#sidecar/stores/store.ts";
import type { BrokenStore } from "./broken-store.ts";

/** The store that outlives its close, for the fault that needs one. */
const KEPT = new Map<string, Store>();

export const lifeFaults: readonly BrokenStore[] = [
  {
    name: "answers after close",
    caughtBy: ["rejects every operation with closed after close", "has no data after close and open, as it declares"],
    spoil: (store, context) => {
      const kept = KEPT.get(context.component) ?? store;
      KEPT.set(context.component, kept);
      return {
        get: (key, read, each) => kept.get(key, read, each),
        set: (write, each) => kept.set(write, each),
        close: async () => undefined,
      };
    },
  },
  {
    name: "hangs when it is closed twice",
    caughtBy: ["can be closed twice, one after the other and at once"],
    spoil(store) {
      let closes = 0;
      return {
        close: () => (closes++ === 0 ? store.close() : new Promise(() => undefined)),
      };
    },
  },
  {
    name: "throws errors of its client's own",
    caughtBy: [
      "refuses a write with a stale ETag and writes nothing",
      "rejects every operation with closed after close",
    ],
    spoil: (store) => ({
      set: (write, each) =>
        store.set(write, each).catch((error: unknown) => {
          throw new TypeError(String(error));
        }),
    }),
  },
  {
    name: "listens to its callers' signals for ever",
    caughtBy: ["leaves no listener on a call's signal"],
    spoil: (store) => ({
      get(key, read, each) {
        each.signal.addEventListener("abort", () => undefined);
        return store.get(key, read, each);
      },
    }),
  },
  {
    name: "declares no transactions and has them",
    caughtBy: ["declares exactly what its runner file pins"],
    spoil: (store) => ({ features: { ...store.features, transactions: false } }),
  },
  {
    name: "closes when the signal of its opening aborts",
    caughtBy: ["is not closed by the signal of its opening"],
    spoil(store, { signal }) {
      signal.addEventListener("abort", () => void store.close());
      return {};
    },
  },
];
