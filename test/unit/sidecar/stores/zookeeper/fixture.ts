// What the tests of the ZooKeeper driver share: a store opened as the sidecar opens it.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import type { Call, Change, PreparedStore, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";
import { driver } from "#sidecar/stores/zookeeper/zookeeper.ts";

export const call: Call = { signal: new AbortController().signal };
export const read: Read = { strong: false, metadata: {} };

const ignore = (): void => undefined;

/** Takes warnings only. */
function logTo(warnings: string[]): Log {
  const warn: Log["warn"] = (message, fields = {}) => void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: ignore, info: ignore, warn, error: ignore, fatal: ignore, scoped: () => log };
  return log;
}

export function prepare(given: Readonly<Record<string, string>>): PreparedStore {
  const all = { sessionTimeout: "4s", ...given };
  const properties = Object.entries(all).map(([name, value]) => ({ name, value, secret: false }));
  return driver.decode(properties, []);
}

/** Opens a store through the driver's own decoder. */
export function openStore(given: Readonly<Record<string, string>>, warnings: string[] = []): Promise<Store> {
  const signal = AbortSignal.timeout(10_000);
  const log = logTo(warnings);
  const context = { component: "test", appId: "app", clock: systemClock, random: systemRandom, log, signal };
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

export function erase(key: string, more: Partial<Removal> = {}): Change {
  return { kind: "delete", removal: removal(key, more) };
}

/** The value as text, or null when there is none. */
export async function textOf(store: Store, key: string): Promise<string | null> {
  const found = await store.get(key, read, call);
  return found === null ? null : Buffer.from(found.bytes).toString();
}

export async function etagOf(store: Store, key: string): Promise<string> {
  const found = await store.get(key, read, call);
  assert.ok(found?.etag, `no value under ${key}`);
  return found.etag;
}

const WAIT_MS = 20_000;

/** Tries again until it succeeds; the last failure when it never does. */
export async function eventually(work: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
