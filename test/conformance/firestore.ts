// The subjects of state.gcp.firestore: datastore-emulator, which can be ended, started again and stopped in the middle; and
// the service, where PANNIER_TEST_FIRESTORE_PROJECT names a project of it, which nobody can hurt.
import { driver } from "#sidecar/stores/firestore/firestore.ts";
import { datastoreMissing, firestoreService as service, startDatastore } from "#test/servers/datastore.ts";
import { type Declaration, lentServer, ownServer, type Subject } from "./subject.ts";
import { datastoreTold } from "./told.ts";

const declares: Declaration = {
  features: { etag: true, transactions: true, ttl: false, list: true },
  limits: { valueBytesMax: 1_045_515, keyBytesMax: 1500, operationsMax: 500, ttlSecMin: 1 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "conflict",
    ttlStepMs: 1,
    durable: true,
    listOrder: "key",
    queryStrings: "typed",
  },
};

export const firestoreEmulator: Subject = {
  name: "state.gcp.firestore, datastore-emulator",
  driver,
  declares,
  server: "pause",
  skip: datastoreMissing(),
  async start() {
    const datastore = await startDatastore();
    // The service keeps what it has answered, which the emulator does at its own end alone.
    return ownServer({ ...datastore, kill9: () => datastore.halt() }, datastore.metadata, datastoreTold);
  },
};

export const firestoreService: Subject = {
  name: "state.gcp.firestore, the service",
  driver,
  declares,
  server: "none",
  skip:
    service() === null
      ? "PANNIER_TEST_FIRESTORE_PROJECT names no project with a database in Datastore mode; it wants credentials in the environment too"
      : null,
  start: async () => lentServer(service() ?? {}),
};
