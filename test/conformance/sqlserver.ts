// The subjects of state.sqlserver, both versions: a SQL Server by its address, which is left in peace. None has run yet.
import { driver } from "#sidecar/stores/sqlserver/sqlserver.ts";
import { addressedSqlServer, sqlServerMissing } from "#test/servers/sqlserver.ts";
import { type Declaration, properties, type Subject } from "./subject.ts";

const declares: Declaration = {
  features: { etag: true, transactions: true, ttl: true, list: true },
  limits: { valueBytesMax: 255 * 1024 * 1024, keyBytesMax: 200, operationsMax: null, ttlSecMin: 1 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "invalid",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
  },
};

/** What no layout of Dapr's can hold in this server; the driver refuses it, which docs/stores/sqlserver.md says. */
const SPACES = "SQL Server compares keys without the spaces at their end: the second of the two keys is refused";
const TEXTS = "the layout of v1 has a column of text alone: bytes that are no UTF-8 are refused";

const excepted: Readonly<Record<string, string>> = {
  "keeps apart a space at the end": SPACES,
  "keeps the same keys apart in a transaction": SPACES,
};

const exceptedV1: Readonly<Record<string, string>> = {
  ...excepted,
  "gives back raw all 256 bytes": TEXTS,
  "gives back raw broken UTF-8": TEXTS,
  "gives back raw a protobuf message": TEXTS,
  "gives back a mebibyte of raw bytes": TEXTS,
  "replaces raw bytes by JSON and JSON by raw bytes": TEXTS,
  "answers the same bytes as get, JSON and raw ones": TEXTS,
  "gives with each key what get gives": TEXTS,
  "keeps bytes exactly, JSON and raw ones": TEXTS,
};

function subject(version: "v1" | "v2", cases: Readonly<Record<string, string>>): Subject {
  const ofVersion = driver.byVersion?.[version];
  if (ofVersion === undefined) throw new Error(`state.sqlserver has no version ${version}`);
  return {
    name: `state.sqlserver ${version}`,
    driver: ofVersion,
    declares,
    server: "none",
    excepted: cases,
    skip: sqlServerMissing(),
    async start() {
      const { connectionString, tables } = addressedSqlServer();
      return {
        properties: properties({ connectionString, timeoutInSeconds: "5", ...tables }),
        server: null,
        stop: async () => undefined,
      };
    },
  };
}

export const sqlserverV1: Subject = subject("v1", exceptedV1);
export const sqlserverV2: Subject = subject("v2", excepted);
