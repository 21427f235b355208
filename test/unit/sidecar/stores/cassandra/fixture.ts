// What the tests of the cassandra driver share: a store opened as the sidecar opens it.
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { driver } from "#sidecar/stores/cassandra/cassandra.ts";
import type { Call, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";

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

export function prepare(given: Readonly<Record<string, string>>): PreparedStore {
  const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
  return driver.decode(properties, []);
}

/** Opens a store through the driver's own decoder. */
export function openStore(given: Readonly<Record<string, string>>): Promise<Store> {
  const signal = AbortSignal.timeout(30_000);
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

/** The value as text, or null when there is none. */
export async function textOf(store: Store, key: string): Promise<string | null> {
  const found = await store.get(key, read, call);
  return found === null ? null : Buffer.from(found.bytes).toString();
}
