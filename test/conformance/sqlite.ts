// The subjects of state.sqlite: a file, and a database in memory.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { driver } from "#sidecar/stores/sqlite/sqlite.ts";
import { type Declaration, properties, type Subject } from "./subject.ts";

const declares: Declaration = {
  features: { etag: true, transactions: true, ttl: true, list: true },
  limits: { valueBytesMax: null, keyBytesMax: null, operationsMax: null, ttlSecMin: 1 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1000,
    durable: true,
    listOrder: "key",
    queryStrings: "typed",
  },
};

export const sqliteFile: Subject = {
  name: "state.sqlite, a file",
  driver,
  declares,
  server: "none",
  skip: null,
  async start() {
    const folder = await mkdtemp(join(tmpdir(), "pannier-conformance-"));
    return {
      properties: properties({ connectionString: join(folder, "state.db") }),
      server: null,
      stop: () => rm(folder, { recursive: true }),
    };
  },
};

export const sqliteMemory: Subject = {
  ...sqliteFile,
  name: "state.sqlite, in memory",
  declares: { ...declares, traits: { ...declares.traits, durable: false } },
  start: async () => ({
    properties: properties({ connectionString: ":memory:" }),
    server: null,
    stop: async () => undefined,
  }),
};
