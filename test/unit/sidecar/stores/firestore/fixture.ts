// What the tests of the Firestore driver share: a store opened as the sidecar opens it, one over a client of the test's own,
// and one emulator per describe, with its JSON API as a second client.
import { systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { Calls } from "#sidecar/stores/firestore/calls.ts";
import { driver } from "#sidecar/stores/firestore/firestore.ts";
import { FirestoreStore } from "#sidecar/stores/firestore/firestore-store.ts";
import { Transactions } from "#sidecar/stores/firestore/transaction.ts";
import { GoogleClient, type GoogleClientOptions } from "#sidecar/stores/google/client.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { type DatastoreServer, startDatastore } from "#test/servers/datastore.ts";
import { type OneServer, oneServer } from "#test/stores/bench.ts";
import { decode, type Fields, open as openPrepared } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export * from "#test/stores/requests.ts";

export function prepare(given: Fields): PreparedStore {
  return decode(driver, given);
}

export function openStore(given: Fields, signal?: AbortSignal): Promise<Store> {
  return openPrepared(prepare(given), signal === undefined ? {} : { signal });
}

/** A key in Datastore's JSON. */
export function keyOf(name: string, kind: string = "DaprState"): object {
  return { path: [{ kind, name }] };
}

export interface Bench extends OneServer<DatastoreServer> {
  /** Writes an entity as somebody else could, by the JSON API. */
  put(key: object, properties: object): Promise<void>;
  /** The entity of DaprState in Datastore's JSON; null when there is none. */
  entity(name: string): Promise<unknown>;
  /** A store on the emulator; closed after the test. */
  open(more?: Fields): Promise<Store>;
  /** A store over a client of the test's own. */
  over(make: (options: GoogleClientOptions) => GoogleClient, timeoutMs?: number): Store;
}

/** One emulator for the describe that calls this. */
export function onOneServer(): Bench {
  const { server, keep } = oneServer(startDatastore);
  const put: Bench["put"] = async (key, properties) => {
    await server().ask("commit", { mode: "NON_TRANSACTIONAL", mutations: [{ upsert: { key, properties } }] });
  };
  const entity: Bench["entity"] = async (name) => {
    const { found } = await server().ask("lookup", { keys: [keyOf(name)] });
    return Array.isArray(found) ? (found[0]?.entity ?? null) : null;
  };
  const open: Bench["open"] = async (more = {}) => {
    const store = await openStore({ ...server().metadata, ...more });
    return keep(store, () => store.close());
  };
  const over: Bench["over"] = (make, timeoutMs = 10_000) => {
    const clock = systemClock;
    const endpoint = { address: server().address, isService: false };
    const client = make({ service: "datastore", endpoint, credentials: null, clock });
    const calls = new Calls({ client, project: "test", layout: { kind: "DaprState", noIndex: false } });
    const transactions = new Transactions({ calls, clock, random: systemRandom });
    const store = new FirestoreStore({ client, calls, transactions, clock, timeoutMs });
    return keep(store, () => store.close());
  };
  return { server, put, entity, open, over, keep };
}

export { GoogleClient };
