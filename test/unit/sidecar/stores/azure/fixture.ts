// What the tests of the drivers on Azure Storage share: stores opened as the sidecar opens them, and one Azurite per
// describe, with Microsoft's own clients as the second ones.
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { driver as blobs } from "#sidecar/stores/blobstorage/blobstorage.ts";
import type {
  Call,
  Change,
  ListPage,
  ListRequest,
  PreparedStore,
  Read,
  Removal,
  Store,
  Write,
} from "#sidecar/stores/store.ts";
import { driver as tables } from "#sidecar/stores/tablestorage/tablestorage.ts";
import { type Azurite, startAzurite } from "#test/servers/azurite.ts";

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

export type Given = Readonly<Record<string, string>>;

/** Through the driver's own decoder; `version` is of blobs. */
export function prepare(kind: "blobs" | "tables", given: Given, version = "v2"): PreparedStore {
  const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
  const driver = kind === "tables" ? tables : blobs.byVersion?.[version];
  if (driver === undefined) throw new Error(`no version ${version}`);
  return driver.decode(properties, []);
}

export function openStore(
  kind: "blobs" | "tables",
  given: Given,
  signal: AbortSignal = AbortSignal.timeout(10_000),
): Promise<Store> {
  const context = { component: "test", appId: "app", clock: systemClock, random: systemRandom, log: silent, signal };
  return prepare(kind, given).open(context);
}

export function write(key: string, value: string | Buffer, more: Partial<Write> = {}): Write {
  const bytes = Buffer.from(value);
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

/** Every key of a range, page by page. */
export async function keysIn(store: Store, scope: string, start: string, limit = 100): Promise<readonly string[]> {
  const keys: string[] = [];
  let after: string | null = null;
  do {
    const request: ListRequest = { range: { scope, start }, after, limit, values: false };
    const page: ListPage | undefined = await store.list?.(request, call);
    if (page === undefined) throw new Error("the store cannot list");
    keys.push(...page.rows.map(({ key }) => key));
    after = page.next;
  } while (after !== null);
  return keys.sort();
}

export interface Bench {
  azurite(): Azurite;
  /** The fields of a Component on this Azurite; through other ports where proxies stand before it. */
  blobFields(port?: number): Given;
  tableFields(port?: number): Given;
  /** A store; closed after the test. */
  open(kind: "blobs" | "tables", more?: Given): Promise<Store>;
  /** Has `stop` called after the test, and gives `thing` back. */
  keep<T>(thing: T, stop: () => Promise<unknown>): T;
}

/** One Azurite for the describe that calls this. */
export function onOneAzurite(): Bench {
  let started: Azurite | null = null;
  const stops: (() => Promise<unknown>)[] = [];
  const azurite = (): Azurite => {
    if (started === null) throw new Error("Azurite was not started");
    return started;
  };
  before(async function () {
    this.timeout(60_000);
    started = await startAzurite();
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  after(() => started?.stop());
  const keep: Bench["keep"] = (thing, stop) => {
    stops.push(stop);
    return thing;
  };
  const blobFields: Bench["blobFields"] = (port = azurite().blobPort) => {
    const { account: accountName, key: accountKey } = azurite();
    return { accountName, accountKey, containerName: "state", endpoint: `http://127.0.0.1:${port}` };
  };
  const tableFields: Bench["tableFields"] = (port = azurite().tablePort) => {
    const { account: accountName, key: accountKey } = azurite();
    return { accountName, accountKey, tableName: "state", serviceURL: `http://127.0.0.1:${port}/${accountName}` };
  };
  const open: Bench["open"] = async (kind, more = {}) => {
    const fields = kind === "blobs" ? blobFields() : tableFields();
    const store = await openStore(kind, { ...fields, ...more });
    return keep(store, () => store.close());
  };
  return { azurite, blobFields, tableFields, open, keep };
}
