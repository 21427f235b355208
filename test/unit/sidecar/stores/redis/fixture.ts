// What the tests of the Redis driver share: a store opened as the sidecar opens it, a plain client beside it, and the
// beginning and end of their servers.
import { Redis } from "ioredis";
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { Link, type LinkOptions } from "#sidecar/stores/redis/link.ts";
import { driver } from "#sidecar/stores/redis/redis.ts";
import type { Call, Change, Found, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { type RedisOptions, type RedisServer, startRedis } from "#test/servers/redis.ts";

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

export interface Opening {
  readonly port: number;
  readonly fields?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly log?: Log;
}

/** Opens a store on 127.0.0.1 through the driver's own decoder. */
export function openStore(opening: Opening): Promise<Store> {
  const given = { redisHost: `127.0.0.1:${opening.port}`, ...opening.fields };
  const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
  const context = {
    component: "test",
    appId: "app",
    clock: systemClock,
    random: systemRandom,
    log: opening.log ?? listeningLog(),
    signal: opening.signal ?? AbortSignal.timeout(10_000),
  };
  return driver.decode(properties, []).open(context);
}

const DIAL_MS = 5_000;

/** Opens a bare link to 127.0.0.1, without a store around it. */
export function openLink(port: number, readMs: number): Promise<Link> {
  return Link.open(linkOptions(port, readMs), AbortSignal.timeout(DIAL_MS));
}

export function linkOptions(port: number, readMs: number): LinkOptions {
  return {
    address: { host: "127.0.0.1", port },
    username: "",
    password: "",
    database: 0,
    tls: null,
    name: "pannier-test",
    dialMs: DIAL_MS,
    readMs,
    clock: systemClock,
    log: listeningLog(),
  };
}

/** A plain client, to look at what lies in Redis and to put there what Dapr puts there. */
export function plainClient(port: number, options: { db?: number; password?: string } = {}): Redis {
  const client = new Redis({ host: "127.0.0.1", port, disableClientInfo: true, ...options });
  // Tests kill servers; what the client thinks of it is not their subject.
  client.on("error", () => undefined);
  return client;
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

/** The value as text, or null when there is none. */
export async function textOf(store: Store, key: string): Promise<string | null> {
  const found = await store.get(key, read, call);
  return found === null ? null : Buffer.from(found.bytes).toString();
}

export async function etagOf(store: Store, key: string): Promise<string> {
  const found: Found | null = await store.get(key, read, call);
  return found?.etag ?? "none";
}

const EVENTUALLY_MS = 20_000;

/** Resolves once `attempt` succeeds; rejects with its last error after twenty seconds. */
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

export interface OneServer {
  readonly server: RedisServer;
  readonly store: Store;
  readonly plain: Redis;
}

/** Gives the describe that calls this one server, a store and a plain client on it; it is emptied before each test. */
export function onOneServer(take: (opened: OneServer) => void, options: () => RedisOptions = () => ({})): void {
  const { start, keep, end } = keeper();
  let plain: Redis;
  before(async () => {
    const server = await start(options());
    const store = await openStore({ port: server.port });
    keep(store, () => store.close());
    plain = plainClient(server.port);
    keep(plain, async () => plain.disconnect());
    take({ server, store, plain });
  });
  beforeEach(() => plain.flushall());
  after(end);
}

export interface Starting {
  start(options?: RedisOptions): Promise<RedisServer>;
  open(port: number, fields?: Readonly<Record<string, string>>, log?: Log): Promise<Store>;
  /** Has `stop` called after the test, and gives `thing` back. */
  keep<T>(thing: T, stop: () => Promise<unknown>): T;
}

/** Lets each test of the describe that calls this start what it needs; all of it is ended after that test, the newest first. */
export function onServersOfItsOwn(): Starting {
  const { start, open, keep, end } = keeper();
  afterEach(end);
  return { start, open, keep };
}

function keeper(): Starting & { end(): Promise<void> } {
  const stops: (() => Promise<unknown>)[] = [];
  const keep = <T>(thing: T, stop: () => Promise<unknown>): T => {
    stops.push(stop);
    return thing;
  };
  return {
    keep,
    start: async (options) => {
      const server = await startRedis(options);
      return keep(server, () => server.stop());
    },
    open: async (port, fields = {}, log = listeningLog()) => {
      const store = await openStore({ port, fields, log });
      return keep(store, () => store.close());
    },
    end: async () => {
      for (const stop of stops.splice(0).reverse()) await stop();
    },
  };
}
