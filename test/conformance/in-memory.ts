// The subject state.in-memory: the one that the suite's own test measures broken stores against.
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import type { Subject } from "./subject.ts";

export const inMemory: Subject = {
  name: "state.in-memory",
  driver,
  declares: {
    features: { etag: true, transactions: true, ttl: true, list: true },
    limits: { valueBytesMax: null, keyBytesMax: null, operationsMax: null, ttlSecMin: 1 },
    traits: {
      values: "exact-bytes",
      foreignEtag: "mismatch",
      etagMayBeQuoted: false,
      firstWriteDelete: "conflict",
      ttlStepMs: 1,
      durable: false,
      listOrder: "key",
      queryStrings: "typed",
    },
  },
  server: "none",
  skip: null,
  start: async () => ({ properties: [], server: null, stop: async () => undefined }),
};
