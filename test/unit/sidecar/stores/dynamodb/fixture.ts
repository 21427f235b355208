// What the tests of the DynamoDB driver share: a store opened as the sidecar opens it, one server per describe, and
// Amazon's own client as the second one.
import { type AttributeValue, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { type Clock, systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { driver } from "#sidecar/stores/dynamodb/dynamodb.ts";
import type { Call, Change, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { type DynamoServer, KEYS, REGION, startDynamo, TTL_ATTRIBUTE } from "#test/servers/dynamodb.ts";
import { DynamoFront } from "#test/servers/dynamodb-front.ts";

export const call: Call = { signal: new AbortController().signal };
export const read: Read = { strong: true, metadata: {} };

export type RawItem = Record<string, AttributeValue>;
type Metadata = Readonly<Record<string, string>>;

const ignore = (): void => undefined;

/** A log that keeps its warnings. */
export function logTo(warnings: string[]): Log {
  const log: Log = {
    debug: ignore,
    info: ignore,
    warn: (message) => void warnings.push(message),
    error: ignore,
    fatal: ignore,
    scoped: () => log,
  };
  return log;
}

export function prepare(given: Metadata): PreparedStore {
  const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
  return driver.decode(properties, []);
}

export interface OpenOptions {
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly log?: Log;
}

/** Opens a store through the driver's own decoder. */
export function openStore(given: Metadata, options: OpenOptions = {}): Promise<Store> {
  const { clock = systemClock, signal = AbortSignal.timeout(10_000), log = logTo([]) } = options;
  return prepare(given).open({ component: "test", appId: "app", clock, random: systemRandom, log, signal });
}

/** The system's clock, so many seconds ahead. */
export function ahead(seconds: number): Clock {
  return { ...systemClock, nowMs: () => systemClock.nowMs() + seconds * 1000 };
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

export function erase(key: string, more: Partial<Removal> = {}): Change {
  return { kind: "delete", removal: removal(key, more) };
}

/** The value as text, or null when there is none. */
export async function textOf(store: Store, key: string): Promise<string | null> {
  const found = await store.get(key, read, call);
  return found === null ? null : Buffer.from(found.bytes).toString();
}

export interface Bench {
  server(): DynamoServer;
  /** Made anew for each describe. */
  table(): string;
  /** Metadata for the table; `more` wins. */
  metadata(more?: Metadata): Metadata;
  /** A store on the table; closed after the test. */
  open(more?: Metadata, options?: OpenOptions): Promise<Store>;
  /** An HTTP front before the server, and a store that goes through it; both are ended after the test. */
  openThroughFront(more?: Metadata, options?: OpenOptions): Promise<{ front: DynamoFront; store: Store }>;
  /** The item under a key, as it lies there. */
  rawGet(key: string): Promise<RawItem | null>;
  rawPut(item: RawItem): Promise<void>;
  /** Runs after the test. */
  keep(end: () => Promise<unknown>): void;
}

/** One server for a describe. Call it directly inside. */
export function onOneServer(): Bench {
  let server: DynamoServer;
  let table: string;
  const ends: (() => Promise<unknown>)[] = [];
  before(async function () {
    this.timeout(30_000);
    server = await startDynamo();
    table = await server.createTable();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  after(() => server.stop());
  const metadata = (more: Metadata = {}): Metadata => {
    const { endpoint } = server;
    return { table, region: REGION, endpoint, ...KEYS, ttlAttributeName: TTL_ATTRIBUTE, ...more };
  };
  const open = async (more: Metadata = {}, options: OpenOptions = {}): Promise<Store> => {
    const store = await openStore(metadata(more), options);
    ends.push(() => store.close());
    return store;
  };
  return {
    server: () => server,
    table: () => table,
    metadata,
    open,
    openThroughFront: async (more = {}, options = {}) => {
      const front = await DynamoFront.start(server);
      ends.push(() => front.stop());
      const store = await open({ endpoint: front.endpoint, ...more }, options);
      return { front, store };
    },
    rawGet: async (key) => {
      const input = { TableName: table, Key: { key: { S: key } }, ConsistentRead: true };
      return (await server.sdk.send(new GetItemCommand(input))).Item ?? null;
    },
    rawPut: async (item) => {
      await server.sdk.send(new PutItemCommand({ TableName: table, Item: item }));
    },
    keep: (end) => void ends.push(end),
  };
}
