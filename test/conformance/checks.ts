// The assertions of the suite: about rows, about rejections, about calls that have to come to an end.
import assert from "node:assert/strict";
import { type Change, type Found, type Store, StoreError, type StoreErrorCode } from "#sidecar/stores/store.ts";
import { call, READ } from "./requests.ts";

const SHOWN_CHARACTERS = 120;

/** The live row under a key; fails the case when there is none. */
export async function mustFind(store: Store, key: string): Promise<Found> {
  const found = await store.get(key, READ, call());
  assert.ok(found !== null, `no value under ${key}`);
  return found;
}

/** The ETag of the live row; fails the case when there is none. */
export async function etagOf(store: Store, key: string): Promise<string> {
  const { etag } = await mustFind(store, key);
  assert.ok(etag !== null && etag !== "", `the value under ${key} has no etag`);
  return etag;
}

export async function expectValue(store: Store, key: string, bytes: Uint8Array): Promise<void> {
  assertBytes((await mustFind(store, key)).bytes, bytes);
}

/** For a structure, which some layouts spell anew. */
export async function expectJson(store: Store, key: string, value: unknown): Promise<void> {
  assert.deepEqual(JSON.parse(Buffer.from((await mustFind(store, key)).bytes).toString()), value);
}

export async function expectMissing(store: Store, key: string): Promise<void> {
  const found = await store.get(key, READ, call());
  assert.equal(found === null ? null : show(found.bytes), null, `there is a value under ${key}`);
}

/** Value, ETag and expiry are as before: a refused change wrote nothing. */
export async function expectUntouched(store: Store, key: string, before: Found): Promise<void> {
  const found = await mustFind(store, key);
  assertBytes(found.bytes, before.bytes);
  assert.equal(found.etag, before.etag, `the etag of ${key} changed`);
  assert.equal(found.expiresAtMs === null, before.expiresAtMs === null, `the expiry of ${key} changed`);
}

export function assertBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return;
  assert.equal(show(actual), show(expected), "other bytes came back");
  assert.fail(`other bytes came back: ${actual.length} bytes in place of ${expected.length}`);
}

function show(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString("latin1").slice(0, SHOWN_CHARACTERS));
}

/** Many rows by getMany, or one by one where the driver leaves that to the core. An item's error fails the case. */
export async function getMany(store: Store, keys: readonly string[]): Promise<readonly (Found | null)[]> {
  if (store.getMany === undefined) return Promise.all(keys.map((key) => store.get(key, READ, call())));
  const items = await store.getMany(keys, READ, call());
  return items.map((item) => {
    if (item instanceof StoreError) throw item;
    return item;
  });
}

/** `transact` of a store that declares transactions. */
export async function transact(store: Store, changes: readonly Change[]): Promise<void> {
  assert.ok(store.transact !== undefined, "the store declares transactions and has no transact");
  await store.transact(changes, call());
}

/** The promise has to reject with a StoreError of one of the codes. */
export async function rejectsWith(
  promise: Promise<unknown>,
  codes: readonly StoreErrorCode[],
  what = "the call",
): Promise<StoreError> {
  const outcome = await outcomeOf(promise);
  assert.ok(outcome !== null, `${what} succeeded, want a rejection: ${codes.join(" or ")}`);
  assert.ok(codes.includes(outcome.code), `${what}: got code ${outcome.code} (${outcome.message}), want ${codes}`);
  return outcome;
}

/** Null for success, else the StoreError; any other error fails the case, for a driver throws nothing else. */
export async function outcomeOf(promise: Promise<unknown>): Promise<StoreError | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error instanceof assert.AssertionError
      ? error
      : new assert.AssertionError({ message: `not a StoreError: ${error}` });
  }
}

/** The promise's own outcome, or a failed case when it has none within `deadlineMs`. */
export async function settles<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const message = `${what} hangs: no outcome within ${deadlineMs}ms`;
    timer = setTimeout(() => reject(new assert.AssertionError({ message })), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const POLL_MS = 25;

/** Asks until the answer is true; fails the case after `deadlineMs`. */
export async function eventually(what: string, deadlineMs: number, ask: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await ask())) {
    assert.ok(Date.now() < end, `${what}: not within ${deadlineMs}ms`);
    await pause(POLL_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
