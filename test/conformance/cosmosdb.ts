// The subjects of state.azure.cosmosdb: Vercel's emulator, which can be killed, started again and stopped in the middle,
// and an account of Azure by its address, with a partition for every key and with one for all.
import type { StoreDriver } from "#sidecar/stores/store.ts";
import { addressedCosmosdb, cosmosdbMissing, startCosmosdb } from "#test/servers/cosmosdb.ts";
import { CosmosFront } from "#test/servers/cosmosdb-front.ts";
import { inOnePartition, inOwnPartitions } from "./cosmosdb-partitions.ts";
import { type Declaration, lentServer, ownServer, properties, type Subject } from "./subject.ts";
import { cosmosdbTold } from "./told.ts";

const MIB = 1024 * 1024;

function declares(transactions: boolean): Declaration {
  return {
    features: { etag: true, transactions, ttl: true, list: true },
    limits: { valueBytesMax: 2 * MIB - 16 * 1024, keyBytesMax: 1023, operationsMax: 100, ttlSecMin: 1 },
    traits: {
      values: "json-equal",
      foreignEtag: "mismatch",
      etagMayBeQuoted: true,
      firstWriteDelete: "conflict",
      ttlStepMs: 1000,
      durable: true,
      listOrder: "none",
      queryStrings: "typed",
    },
  };
}

const addressed = addressedCosmosdb();

function atAzure(name: string, driver: StoreDriver, transactions: boolean): Subject {
  return {
    name: `state.azure.cosmosdb, ${name}, at Azure`,
    driver,
    declares: declares(transactions),
    server: "none",
    skip: "missing" in addressed ? addressed.missing : null,
    async start() {
      const fields = "fields" in addressed ? addressed.fields : {};
      return lentServer(fields);
    },
  };
}

export const azureOwnPartitions: Subject = atAzure("a partition for each key", inOwnPartitions, false);
export const azureOnePartition: Subject = atAzure("one partition", inOnePartition, true);

const NO_EXPIRY = "cosmosdb-server ignores a TTL: the value stays";

/** Not in one partition too: it has no transactions, so that would prove nothing more. */
export const cosmosEmulator: Subject = {
  name: "state.azure.cosmosdb, a partition for each key, cosmosdb-server",
  driver: inOwnPartitions,
  declares: declares(false),
  server: "pause",
  excepted: {
    "creates over a value that has expired": NO_EXPIRY,
    "lets a value go when its time is over, and not before": NO_EXPIRY,
    "answers nothing for an expired value in bulk": NO_EXPIRY,
    "lets a value go earlier when a later write says so": NO_EXPIRY,
    "counts an expired value as missing for its own ETag": NO_EXPIRY,
    "does not tell or count a value whose time is over": NO_EXPIRY,
  },
  skip: cosmosdbMissing(),
  async start() {
    const cosmos = await startCosmosdb();
    return ownServer(cosmos, cosmos.fields, cosmosdbTold);
  },
};

/** For Dapr's own driver beside ours: behind a front that mends what the emulator does to clients in Go. */
export const emulatorBehindFront: Subject = {
  ...cosmosEmulator,
  server: "none",
  async start() {
    const cosmos = await startCosmosdb();
    const front = await CosmosFront.start(cosmos);
    return {
      properties: properties({ ...cosmos.fields, url: front.url }),
      server: null,
      stop: async () => {
        await front.stop();
        await cosmos.stop();
      },
    };
  },
};
