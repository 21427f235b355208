// The subjects of state.aws.dynamodb: a table with expiry on a server that can be killed and stopped in the middle, one
// without expiry, and one of the service by address.
import { assert } from "#kit/assert.ts";
import { driver } from "#sidecar/stores/dynamodb/dynamodb.ts";
import type { Store, StoreDriver } from "#sidecar/stores/store.ts";
import { addressedDynamo, dynamoMissing, KEYS, REGION, startDynamo, TTL_ATTRIBUTE } from "#test/servers/dynamodb.ts";
import { type Declaration, ownServer, properties, type Subject } from "./subject.ts";
import { dynamoTold } from "./told.ts";

/** What is left of 400 KiB beside the longest key, the names of the attributes, an ETag and an expiry. */
const VALUE_BYTES_MAX = 409_600 - 2_048 - "keyvalueetag".length - 16;
const EXPIRY_BYTES = TTL_ATTRIBUTE.length + 8;

function declares(ttl: boolean): Declaration {
  return {
    features: { etag: true, transactions: true, ttl, list: false },
    limits: {
      valueBytesMax: VALUE_BYTES_MAX - (ttl ? EXPIRY_BYTES : 0),
      keyBytesMax: 2048,
      operationsMax: 100,
      ttlSecMin: 1,
    },
    traits: {
      values: "exact-bytes",
      foreignEtag: "mismatch",
      etagMayBeQuoted: false,
      firstWriteDelete: "ignored",
      ttlStepMs: 1000,
      durable: true,
      listOrder: "none",
      queryStrings: "typed",
    },
  };
}

export const dynamo: Subject = {
  name: "state.aws.dynamodb",
  driver,
  declares: declares(true),
  server: "pause",
  skip: dynamoMissing(),
  async start() {
    const server = await startDynamo();
    const table = await server.createTable();
    const { endpoint } = server;
    const metadata = { table, region: REGION, endpoint, ...KEYS, ttlAttributeName: TTL_ATTRIBUTE };
    return ownServer(server, metadata, dynamoTold);
  },
};

/** Its server is the same program as above, which is hurt there. */
export const dynamoWithoutTtl: Subject = {
  name: "state.aws.dynamodb, without ttlAttributeName",
  driver,
  declares: declares(false),
  server: "none",
  skip: dynamoMissing(),
  async start() {
    const server = await startDynamo();
    const table = await server.createTable();
    const { endpoint } = server;
    return {
      properties: properties({ table, region: REGION, endpoint, ...KEYS }),
      server: null,
      tells: dynamoTold,
      stop: () => server.stop(),
    };
  },
};

/** Reads strongly whatever is asked for: the service may answer other reads a moment behind, and the cases read at once. */
function strongly(store: Store): Store {
  const { getMany, transact } = store;
  assert(getMany !== undefined && transact !== undefined, "the store declares both");
  return {
    features: store.features,
    limits: store.limits,
    traits: store.traits,
    capabilities: store.capabilities,
    defaultTtlSec: store.defaultTtlSec,
    get: (key, read, call) => store.get(key, { ...read, strong: true }, call),
    getMany: (keys, read, call) => getMany.call(store, keys, { ...read, strong: true }, call),
    set: (write, call) => store.set(write, call),
    remove: (removal, call) => store.remove(removal, call),
    transact: (changes, call) => transact.call(store, changes, call),
    ping: (call) => store.ping(call),
    close: () => store.close(),
  };
}

const strongDriver: StoreDriver = {
  ...driver,
  decode(given, others) {
    const prepared = driver.decode(given, others);
    return { ...prepared, open: async (context) => strongly(await prepared.open(context)) };
  },
};

const address = addressedDynamo();

export const dynamoByAddress: Subject = {
  name: "state.aws.dynamodb, the service",
  driver: strongDriver,
  declares: declares(true),
  server: "none",
  skip: "missing" in address ? address.missing : null,
  async start() {
    const metadata = "missing" in address ? {} : address.metadata;
    return { properties: properties(metadata), server: null, stop: () => Promise.resolve() };
  },
};
