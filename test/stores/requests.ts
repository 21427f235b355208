// Calls to a store as the core makes them, with the usual members filled in: what the tests of every driver send, and how
// they look at what has come of it.
import type { Call, Change, Found, ListPage, Read, Removal, Store, Write } from "#sidecar/stores/store.ts";

/** A caller that never leaves. */
export const call: Call = { signal: new AbortController().signal };
export const read: Read = { strong: false, metadata: {} };

/** A write of JSON without conditions or expiry, unless `more` says so; text becomes its UTF-8, bytes are passed on as they are. */
export function write(key: string, value: string | Uint8Array, more: Partial<Write> = {}): Write {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  const plain = { key, bytes, isJson: true, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
  return { ...plain, ...more };
}

/** A removal without conditions, unless `more` says so. */
export function removal(key: string, more: Partial<Removal> = {}): Removal {
  return { key, etag: null, firstWrite: false, strong: false, metadata: {}, ...more };
}

export function upsert(key: string, value: string | Uint8Array, more: Partial<Write> = {}): Change {
  return { kind: "upsert", write: write(key, value, more) };
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
export async function textOf(store: Store, key: string, how: Read = read): Promise<string | null> {
  const found = await store.get(key, how, call);
  return found === null ? null : Buffer.from(found.bytes).toString();
}

/** The ETag of a value that has to be there, and to have one. */
export async function etagOf(store: Store, key: string): Promise<string> {
  const found: Found | null = await store.get(key, read, call);
  if (found === null || found.etag === null) throw new Error(`no value with an ETag under ${key}`);
  return found.etag;
}

/** The keys of a range of the scope, in the order of the store, by pages of `limit`. */
export async function keysOf(store: Store, range: { scope: string; start: string }, limit: number): Promise<string[]> {
  const keys: string[] = [];
  let after: string | null = null;
  do {
    const page: ListPage | undefined = await store.list?.({ range, after, limit, values: false }, call);
    if (page === undefined) throw new Error("the store has no list");
    keys.push(...page.rows.map(({ key }) => key));
    after = page.next;
  } while (after !== null);
  return keys;
}
