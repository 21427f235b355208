// What the tests of the Firestore driver share: a store opened as the sidecar opens it, one over a client of the test's own,
// and one emulator per describe, with its JSON API as a second client.
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { Calls } from "#sidecar/stores/firestore/calls.ts";
import { driver } from "#sidecar/stores/firestore/firestore.ts";
import { FirestoreStore } from "#sidecar/stores/firestore/firestore-store.ts";
import { Transactions } from "#sidecar/stores/firestore/transaction.ts";
import { GoogleClient, type GoogleClientOptions } from "#sidecar/stores/google/client.ts";
import type { Call, Change, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { type DatastoreServer, startDatastore } from "#test/servers/datastore.ts";

export const call: Call = { signal: new AbortController().signal };
export const read: Read = { strong: false, metadata: {} };

const ignore = (): void => undefined;
const silent: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore, scoped: () => silent };

export function prepare(given: Readonly<Record<string, string>>): PreparedStore {
  const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
  return driver.decode(properties, []);
}

export function openStore(
  given: Readonly<Record<string, string>>,
  signal: AbortSignal = AbortSignal.timeout(10_000),
): Promise<Store> {
  const context = { component: "test", appId: "app", clock: systemClock, random: systemRandom, log: silent, signal };
  return prepare(given).open(context);
}

export function write(key: string, text: string | Uint8Array, more: Partial<Write> = {}): Write {
  const bytes = Buffer.from(text);
  const plain = { key, bytes, isJson: true, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
  return { ...plain, ...more };
}

export function removal(key: string, more: Partial<Removal> = {}): Removal {
  return { key, etag: null, firstWrite: false, strong: false, metadata: {}, ...more };
}

export function upsert(key: string, text: string | Uint8Array, more: Partial<Write> = {}): Change {
  return { kind: "upsert", write: write(key, text, more) };
}

/** The value as text, or null when there is none. */
export async function textOf(store: Store, key: string): Promise<string | null> {
  const found = await store.get(key, read, call);
  return found === null ? null : Buffer.from(found.bytes).toString();
}

export async function etagOf(store: Store, key: string): Promise<string> {
  const etag = (await store.get(key, read, call))?.etag;
  if (etag === undefined || etag === null) throw new Error(`${key} has no etag`);
  return etag;
}

/** A key in Datastore's JSON. */
export function keyOf(name: string, kind: string = "DaprState"): object {
  return { path: [{ kind, name }] };
}

export interface Bench {
  server(): DatastoreServer;
  /** Writes an entity as somebody else could, by the JSON API. */
  put(key: object, properties: object): Promise<void>;
  /** The entity of DaprState in Datastore's JSON; null when there is none. */
  entity(name: string): Promise<unknown>;
  /** A store on the emulator; closed after the test. */
  open(more?: Readonly<Record<string, string>>): Promise<Store>;
  /** A store over a client of the test's own. */
  over(make: (options: GoogleClientOptions) => GoogleClient, timeoutMs?: number): Store;
  /** Has `stop` called after the test, and gives `thing` back. */
  keep<T>(thing: T, stop: () => unknown): T;
}

/** One emulator for the describe that calls this. */
export function onOneServer(): Bench {
  let started: DatastoreServer | null = null;
  const stops: (() => unknown)[] = [];
  const server = (): DatastoreServer => {
    if (started === null) throw new Error("the server was not started");
    return started;
  };
  const keep = <T>(thing: T, stop: () => unknown): T => {
    stops.push(stop);
    return thing;
  };
  before(async () => {
    started = await startDatastore();
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  after(() => started?.stop());
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
