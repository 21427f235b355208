// What the tests of the MongoDB driver share: a store opened as the sidecar opens it, on a server or on the stand-in for a
// replica set.
import type { Document, MongoClient } from "mongodb";
import type { Log } from "#kit/log.ts";
import { driver } from "#sidecar/stores/mongodb/mongodb.ts";
import type { PreparedStore, Read, Store } from "#sidecar/stores/store.ts";
import { type MongodbServer, startMongodb } from "#test/servers/mongodb.ts";
import { MongodbStandIn, type StandInOptions } from "#test/servers/mongodb-stand-in.ts";
import { forAllTests, type Keeping, keeping, type OneServer } from "#test/stores/bench.ts";
import { decode, type Fields, listeningLog, type Opening, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export { type Fields, listeningLog } from "#test/stores/opening.ts";
export * from "#test/stores/requests.ts";

export const STRONG: Read = { strong: true, metadata: {} };

export function prepare(fields: Fields): PreparedStore {
  return decode(driver, fields);
}

export function openStore({ fields, ...opening }: Opening & { readonly fields: Fields }): Promise<Store> {
  return open(prepare(fields), opening);
}

export interface Bench extends OneServer<MongodbServer> {
  /** A store on the server; closed after the test. */
  open(fields?: Fields, log?: Log): Promise<Store>;
  /** Documents of Dapr's collection, by a second client that knows nothing of ours. */
  collection(): ReturnType<ReturnType<MongoClient["db"]>["collection"]>;
}

/** One server for the describe that calls this. */
export function onOneServer(): Bench {
  const both = forAllTests(async (keep) => {
    const server = await startMongodb();
    keep(server, () => server.stop());
    const client = await server.connect();
    return { server, client: keep(client, () => client.close()) };
  });
  const { keep } = keeping();
  return {
    keep,
    server: () => both().server,
    open: async (fields = {}, log = listeningLog()) => {
      const store = await openStore({ fields: { host: both().server.address, ...fields }, log });
      return keep(store, () => store.close());
    },
    collection: () => both().client.db("daprStore").collection<Document>("daprCollection"),
  };
}

export interface StandInBench extends Keeping {
  /** A stand-in and a store on it, both gone after the test. What opening took is not among the commands. */
  open(
    more?: { readonly fields?: Fields; readonly log?: Log } & StandInOptions,
  ): Promise<{ readonly standIn: MongodbStandIn; readonly store: Store }>;
}

export function onStandIns(): StandInBench {
  const { keep } = keeping();
  return {
    keep,
    open: async ({ fields = {}, log = listeningLog(), ...options } = {}) => {
      const started = await MongodbStandIn.start(options);
      const standIn = keep(started, () => started.stop());
      const store = await openStore({ fields: { host: standIn.address, operationTimeout: "2s", ...fields }, log });
      keep(store, () => store.close());
      standIn.commands.length = 0;
      return { standIn, store };
    },
  };
}
