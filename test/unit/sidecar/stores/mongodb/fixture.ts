// What the tests of the MongoDB driver share: a store opened as the sidecar opens it, on a server or on the stand-in for a
// replica set.
import type { Document, MongoClient } from "mongodb";
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { driver } from "#sidecar/stores/mongodb/mongodb.ts";
import type { Call, Change, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { type MongodbServer, startMongodb } from "#test/servers/mongodb.ts";
import { MongodbStandIn, type StandInOptions } from "#test/servers/mongodb-stand-in.ts";

export const call: Call = { signal: new AbortController().signal };
export const read: Read = { strong: false, metadata: {} };
export const STRONG: Read = { strong: true, metadata: {} };

/** Keeps the warnings. */
export function listeningLog(): Log & { readonly warnings: string[] } {
  const warnings: string[] = [];
  const ignore = (): void => undefined;
  const log = {
    warnings,
    debug: ignore,
    info: ignore,
    warn: (message: string, more: unknown = {}) => void warnings.push(`${message} ${JSON.stringify(more)}`),
    error: ignore,
    fatal: ignore,
    scoped: () => log,
  };
  return log;
}

export type Fields = Readonly<Record<string, string>>;

export function prepare(fields: Fields): PreparedStore {
  return driver.decode(
    Object.entries(fields).map(([name, value]) => ({ name, value, secret: false })),
    [],
  );
}

export interface Opening {
  readonly fields: Fields;
  readonly signal?: AbortSignal;
  readonly log?: Log;
}

/** Opens a store through the driver's own decoder. */
export function openStore({ fields, signal, log }: Opening): Promise<Store> {
  return prepare(fields).open({
    component: "test",
    appId: "app",
    clock: systemClock,
    random: systemRandom,
    log: log ?? listeningLog(),
    signal: signal ?? AbortSignal.timeout(10_000),
  });
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

export function deletion(key: string, more: Partial<Removal> = {}): Change {
  return { kind: "delete", removal: removal(key, more) };
}

/** `transact` of a store that has it. */
export async function transact(store: Store, changes: readonly Change[]): Promise<void> {
  if (store.transact === undefined) throw new Error("the store has no transact");
  await store.transact(changes, call);
}

/** The value as text, or null when there is none. */
export async function textOf(store: Store, key: string): Promise<string | null> {
  const found = await store.get(key, read, call);
  return found === null ? null : Buffer.from(found.bytes).toString();
}

const EVENTUALLY_MS = 10_000;

/** Resolves once `attempt` succeeds; rejects with its last error after ten seconds. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const end = Date.now() + EVENTUALLY_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

interface Keeping {
  /** Has `stop` called after the test, and gives `thing` back. */
  keep<T>(thing: T, stop: () => unknown): T;
}

function keeping(): Keeping {
  const stops: (() => unknown)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  return {
    keep(thing, stop) {
      stops.push(stop);
      return thing;
    },
  };
}

export interface Bench extends Keeping {
  /** The server of the describe. */
  server(): MongodbServer;
  /** A store on the server; closed after the test. */
  open(fields?: Fields, log?: Log): Promise<Store>;
  /** Documents of Dapr's collection, by a second client that knows nothing of ours. */
  collection(): ReturnType<ReturnType<MongoClient["db"]>["collection"]>;
}

/** One server for the describe that calls this. */
export function onOneServer(): Bench {
  let started: { readonly server: MongodbServer; readonly client: MongoClient } | null = null;
  const mustStarted = (): NonNullable<typeof started> => {
    if (started === null) throw new Error("the server was not started");
    return started;
  };
  const { keep } = keeping();
  before(async function () {
    this.timeout(90_000);
    const server = await startMongodb();
    started = { server, client: await server.connect() };
  });
  after(async () => {
    await started?.client.close();
    await started?.server.stop();
  });
  return {
    keep,
    server: () => mustStarted().server,
    open: async (fields = {}, log = listeningLog()) => {
      const store = await openStore({ fields: { host: mustStarted().server.address, ...fields }, log });
      return keep(store, () => store.close());
    },
    collection: () => mustStarted().client.db("daprStore").collection<Document>("daprCollection"),
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
