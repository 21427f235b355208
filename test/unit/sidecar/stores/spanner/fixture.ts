// What the tests of the Spanner driver share: a store opened as the sidecar opens it, and one fake per describe, with a
// second client beside it.
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { GoogleClient } from "#sidecar/stores/google/client.ts";
import type { Calls } from "#sidecar/stores/spanner/calls.ts";
import { Session } from "#sidecar/stores/spanner/session.ts";
import { driver } from "#sidecar/stores/spanner/spanner.ts";
import { SpannerStore } from "#sidecar/stores/spanner/spanner-store.ts";
import { Transactions } from "#sidecar/stores/spanner/transaction.ts";
import type { Call, Change, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { type SpannerServer, startSpanner } from "#test/servers/spanner.ts";
import { SpannerClient } from "#test/servers/spanner-client.ts";

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

export async function etagOf(store: Store, key: string): Promise<string> {
  const etag = (await store.get(key, read, call))?.etag;
  if (etag === undefined || etag === null) throw new Error(`${key} has no etag`);
  return etag;
}

export interface Bench {
  server(): SpannerServer;
  second(): SpannerClient;
  /** A store on the fake; closed after the test. */
  open(more?: Readonly<Record<string, string>>): Promise<Store>;
  /** A store over calls of the test's own, on the table that `open` makes. */
  over(make: (options: ConstructorParameters<typeof Calls>[0]) => Calls, maxStalenessMs?: number): Store;
  /** Has `stop` called after the test, and gives `thing` back. */
  keep<T>(thing: T, stop: () => unknown): T;
}

/** One fake for the describe that calls this. */
export function onOneServer(): Bench {
  let started: { readonly server: SpannerServer; readonly second: SpannerClient } | null = null;
  const stops: (() => unknown)[] = [];
  const running = (): { readonly server: SpannerServer; readonly second: SpannerClient } => {
    if (started === null) throw new Error("the server was not started");
    return started;
  };
  const keep = <T>(thing: T, stop: () => unknown): T => {
    stops.push(stop);
    return thing;
  };
  before(async () => {
    const server = await startSpanner();
    started = { server, second: await SpannerClient.open(server.metadata) };
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  after(async () => {
    started?.second.close();
    await started?.server.stop();
  });
  const server = (): SpannerServer => running().server;
  const open: Bench["open"] = async (more = {}) => {
    const store = await openStore({ ...server().metadata, ...more });
    return keep(store, () => store.close());
  };
  const over: Bench["over"] = (make, maxStalenessMs = 0) => {
    const clock = systemClock;
    const endpoint = { address: server().address, isService: false };
    const client = new GoogleClient({ service: "spanner", endpoint, credentials: null, clock });
    const database = "projects/test/instances/test/databases/test";
    const calls = make({ client, session: new Session({ client, clock, database }), database, table: "state" });
    const transactions = new Transactions({ calls, clock, random: systemRandom });
    const bounds = { timeoutMs: 10_000, maxStalenessMs };
    const store = new SpannerStore({ client, calls, transactions, clock, random: systemRandom, ...bounds });
    return keep(store, () => store.close());
  };
  return { server, second: () => running().second, keep, open, over };
}
