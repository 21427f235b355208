// What the tests of the PostgreSQL driver share: a store opened as the sidecar opens it, and one server per describe.
import { type Clock, systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { driver } from "#sidecar/stores/postgresql/postgresql.ts";
import type { Call, Change, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { type PostgresOptions, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";

export type Version = "v1" | "v2";
export const VERSIONS: readonly Version[] = ["v1", "v2"];

export const call: Call = { signal: new AbortController().signal };
export const read: Read = { strong: false, metadata: {} };

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

export function prepare(version: Version, fields: Readonly<Record<string, string>>): PreparedStore {
  const properties = Object.entries(fields).map(([name, value]) => ({ name, value, secret: false }));
  const chosen = driver.byVersion?.[version];
  if (chosen === undefined) throw new Error(`no version ${version}`);
  return chosen.decode(properties, []);
}

export interface Opening {
  readonly version: Version;
  readonly fields: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly log?: Log;
  readonly clock?: Clock;
}

/** Opens a store through the driver's own decoder. */
export function openStore({ version, fields, signal, log, clock }: Opening): Promise<Store> {
  return prepare(version, fields).open({
    component: "test",
    appId: "app",
    clock: clock ?? systemClock,
    random: systemRandom,
    log: log ?? listeningLog(),
    signal: signal ?? AbortSignal.timeout(10_000),
  });
}

export function write(key: string, text: string, more: Partial<Write> = {}): Write {
  const bytes = Buffer.from(text);
  const plain = { key, bytes, isJson: true, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
  return { ...plain, ...more };
}

export function removal(key: string, more: Partial<Removal> = {}): Removal {
  return { key, etag: null, firstWrite: false, strong: false, metadata: {}, ...more };
}

export function upsert(key: string, text: string, more: Partial<Write> = {}): Change {
  return { kind: "upsert", write: write(key, text, more) };
}

export function deletion(key: string, more: Partial<Removal> = {}): Change {
  return { kind: "delete", removal: removal(key, more) };
}

/** `transact` of a store that has it. */
export async function transact(store: Store, changes: readonly Change[], each: Call = call): Promise<void> {
  if (store.transact === undefined) throw new Error("the store has no transact");
  await store.transact(changes, each);
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
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export interface Bench {
  /** The server of the describe. */
  server(): PostgresServer;
  /** A new, empty database on it, by its name. */
  database(options?: string): Promise<string>;
  /** A store on a database of the server; closed after the test. */
  open(version: Version, database: string, fields?: Readonly<Record<string, string>>, log?: Log): Promise<Store>;
  /** Has `stop` called after the test, and gives `thing` back. */
  keep<T>(thing: T, stop: () => Promise<unknown>): T;
}

/** One server for the describe that calls this. */
export function onOneServer(options: PostgresOptions = {}): Bench {
  let started: PostgresServer | null = null;
  let databases = 0;
  const stops: (() => Promise<unknown>)[] = [];
  const server = (): PostgresServer => {
    if (started === null) throw new Error("the server was not started");
    return started;
  };
  const keep = <T>(thing: T, stop: () => Promise<unknown>): T => {
    stops.push(stop);
    return thing;
  };
  before(async () => {
    started = await startPostgres(options);
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  after(() => started?.stop());
  return {
    server,
    keep,
    database: async (more = "") => {
      const name = `test${++databases}`;
      await server().query(`CREATE DATABASE ${name} ${more}`);
      return name;
    },
    open: async (version, database, fields = {}, log = listeningLog()) => {
      const store = await openStore({ version, fields: { connectionString: server().url(database), ...fields }, log });
      return keep(store, () => store.close());
    },
  };
}
