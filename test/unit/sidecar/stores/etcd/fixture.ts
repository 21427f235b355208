// What the tests of the etcd driver share: a store opened as the sidecar opens it, and one server per describe, with
// etcd's own HTTP gateway as the second client.
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { driver } from "#sidecar/stores/etcd/etcd.ts";
import type { Call, Change, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { type EtcdOptions, type EtcdServer, startEtcd } from "#test/servers/etcd.ts";

export type Version = "v1" | "v2";
export const VERSIONS: readonly Version[] = ["v1", "v2"];

export const call: Call = { signal: new AbortController().signal };
export const read: Read = { strong: false, metadata: {} };

const ignore = (): void => undefined;
const silent: Log = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  fatal: ignore,
  scoped: () => silent,
};

export function prepare(version: Version, given: Readonly<Record<string, string>>): PreparedStore {
  const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
  const chosen = driver.byVersion?.[version];
  if (chosen === undefined) throw new Error(`no version ${version}`);
  return chosen.decode(properties, []);
}

/** Opens a store through the driver's own decoder. */
export function openStore(
  version: Version,
  given: Readonly<Record<string, string>>,
  signal: AbortSignal = AbortSignal.timeout(10_000),
): Promise<Store> {
  const context = { component: "test", appId: "app", clock: systemClock, random: systemRandom, log: silent, signal };
  return prepare(version, given).open(context);
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

/** The value as text, or null when there is none. */
export async function textOf(store: Store, key: string): Promise<string | null> {
  const found = await store.get(key, read, call);
  return found === null ? null : Buffer.from(found.bytes).toString();
}

const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64");

/** A row as the gateway shows it. */
export interface RawRow {
  readonly value: Buffer;
  readonly lease: string;
  readonly modRevision: string;
}

/** The row under a name, or null. */
export async function rawGet(server: EtcdServer, name: string): Promise<RawRow | null> {
  const { kvs } = await server.gateway("/v3/kv/range", { key: base64(name) });
  const [row] = Array.isArray(kvs) ? kvs : [];
  if (row === undefined) return null;
  const { value = "", lease = "0", mod_revision: modRevision } = row;
  return { value: Buffer.from(value, "base64"), lease, modRevision };
}

export async function rawPut(
  server: EtcdServer,
  name: string | Buffer,
  value: string | Buffer,
  lease = "0",
): Promise<void> {
  await server.gateway("/v3/kv/put", { key: base64(name), value: base64(value), lease });
}

/** A new lease of so many seconds, as Dapr makes one for each write with a TTL. */
export async function rawLease(server: EtcdServer, ttlSec: number): Promise<string> {
  const { ID } = await server.gateway("/v3/lease/grant", { TTL: ttlSec });
  return String(ID);
}

/** The leases there are. */
export async function rawLeases(server: EtcdServer): Promise<readonly string[]> {
  const { leases } = await server.gateway("/v3/lease/leases", {});
  return Array.isArray(leases) ? leases.map(({ ID }: { ID: string }) => ID) : [];
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
  server(): EtcdServer;
  /** A store on the server; closed after the test. */
  open(version: Version, more?: Readonly<Record<string, string>>): Promise<Store>;
  /** Has `stop` called after the test, and gives `thing` back. */
  keep<T>(thing: T, stop: () => Promise<unknown>): T;
}

/** One server for the describe that calls this. */
export function onOneServer(options: EtcdOptions = {}): Bench {
  let started: EtcdServer | null = null;
  const stops: (() => Promise<unknown>)[] = [];
  const server = (): EtcdServer => {
    if (started === null) throw new Error("the server was not started");
    return started;
  };
  const keep = <T>(thing: T, stop: () => Promise<unknown>): T => {
    stops.push(stop);
    return thing;
  };
  before(async () => {
    started = await startEtcd(options);
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  after(() => started?.stop());
  const open: Bench["open"] = async (version, more = {}) => {
    const store = await openStore(version, { endpoints: server().address, ...more });
    return keep(store, () => store.close());
  };
  return { server, keep, open };
}
