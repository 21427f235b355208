// What the tests of the MySQL driver share: a store opened as the sidecar opens it, and one MariaDB per describe.
import type { Connection } from "mysql2";
import { type Clock, systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { driver } from "#sidecar/stores/mysql/mysql.ts";
import type { Call, Change, ListPage, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { type MysqlOptions, type MysqlServer, startMysql } from "#test/servers/mysql.ts";

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

export function prepare(fields: Readonly<Record<string, string>>): PreparedStore {
  return driver.decode(
    Object.entries(fields).map(([name, value]) => ({ name, value, secret: false })),
    [],
  );
}

export interface Opening {
  readonly fields: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly log?: Log;
  readonly clock?: Clock;
}

/** Opens a store through the driver's own decoder. */
export function openStore({ fields, signal, log, clock }: Opening): Promise<Store> {
  return prepare(fields).open({
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

/** The keys of a range in pages of `limit`. */
export async function keysOf(store: Store, start: string, limit: number): Promise<readonly string[]> {
  const keys: string[] = [];
  let after: string | null = null;
  do {
    const page: ListPage | undefined = await store.list?.(
      { range: { scope: "", start }, after, limit, values: false },
      call,
    );
    if (page === undefined) throw new Error("the store has no list");
    keys.push(...page.rows.map(({ key }) => key));
    after = page.next;
  } while (after !== null);
  return keys;
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

type Rows = readonly Readonly<Record<string, unknown>>[];

export interface Bench {
  /** The server of the describe. */
  server(): MysqlServer;
  /** The name of a schema that no other test has; the store makes it. */
  schema(): string;
  /** A store on a schema of the server; closed after the test. */
  open(schemaName: string, fields?: Readonly<Record<string, string>>, log?: Log): Promise<Store>;
  /** Runs a statement in a schema. */
  query(schema: string, text: string, values?: readonly unknown[]): Promise<Rows>;
  /** A connection of its own, for locks; ended after the test. */
  client(schema: string): Connection;
  /** Has `stop` called after the test, and gives `thing` back. */
  keep<T>(thing: T, stop: () => unknown): T;
}

/** One server for the describe that calls this. */
export function onOneServer(options: MysqlOptions = {}): Bench {
  let started: MysqlServer | null = null;
  let schemas = 0;
  const stops: (() => unknown)[] = [];
  const server = (): MysqlServer => {
    if (started === null) throw new Error("the server was not started");
    return started;
  };
  const keep = <T>(thing: T, stop: () => unknown): T => {
    stops.push(stop);
    return thing;
  };
  before(async () => {
    started = await startMysql(options);
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  after(() => started?.stop());
  return {
    server,
    keep,
    schema: () => `test${++schemas}`,
    open: async (schemaName, fields = {}, log = listeningLog()) => {
      const store = await openStore({ fields: { connectionString: server().dsn(), schemaName, ...fields }, log });
      return keep(store, () => store.close());
    },
    query: (schema, text, values = []) => server().query(text, values, schema),
    client: (schema) => {
      const client = server().connect(schema);
      return keep(client, () => client.destroy());
    },
  };
}
