// The subjects of state.mongodb: mongo-java-server as a server alone, which can be killed, started again and stopped in the
// middle, and a replica set by its address, which is left in peace.
import { driver } from "#sidecar/stores/mongodb/mongodb.ts";
import { addressedMongodb, mongodbMissing, startMongodb } from "#test/servers/mongodb.ts";
import { type Declaration, lentServer, ownServer, type Subject } from "./subject.ts";
import { mongodbTold } from "./told.ts";

const TEXT = "mongo-java-server decodes strings, so that bytes which are not UTF-8 are lost";
const ORDER = "mongo-java-server compares strings by their UTF-16, and not by their bytes";

/** What mongo-java-server gets wrong. A replica set by address runs all of it. */
const EXCEPTED: Readonly<Record<string, string>> = {
  "gives back raw all 256 bytes": TEXT,
  "gives back raw broken UTF-8": TEXT,
  "gives back raw a protobuf message": TEXT,
  "gives back a mebibyte of raw bytes": TEXT,
  "replaces raw bytes by JSON and JSON by raw bytes": TEXT,
  "tells keys in the order of their bytes": ORDER,
  "takes the last character of the first plane in a beginning as itself": ORDER,
  "takes the last character of all in a beginning as itself": ORDER,
  "agrees with a sorted array while others write": ORDER,
};

const MIB = 1024 * 1024;

function declares(transactions: boolean): Declaration {
  return {
    features: { etag: true, transactions, ttl: true, list: true },
    limits: { valueBytesMax: 16 * MIB - 64 * 1024, keyBytesMax: null, operationsMax: null, ttlSecMin: 1 },
    traits: {
      values: "json-equal",
      foreignEtag: "mismatch",
      etagMayBeQuoted: false,
      firstWriteDelete: "ignored",
      ttlStepMs: 1000,
      durable: true,
      listOrder: "key",
      queryStrings: "typed",
    },
  };
}

export const mongodbAlone: Subject = {
  name: "state.mongodb, mongo-java-server",
  driver,
  declares: declares(false),
  server: "pause",
  excepted: EXCEPTED,
  skip: mongodbMissing(),
  async start() {
    const server = await startMongodb();
    return ownServer(server, { host: server.address }, mongodbTold);
  },
};

const addressed = addressedMongodb();

export const mongodbReplicaSet: Subject = {
  name: "state.mongodb, a replica set",
  driver,
  declares: declares(true),
  server: "none",
  skip: "missing" in addressed ? addressed.missing : null,
  async start() {
    const connectionString = "uri" in addressed ? addressed.uri : "";
    const databaseName = `pannier_conformance_${Date.now()}`;
    return lentServer({ connectionString, databaseName });
  },
};
