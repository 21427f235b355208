// All operations of a store as a list, for the cases that put each of them through the same trouble, and the rule of
// truth for writes: an error that says "nothing was written" is held to it.
import assert from "node:assert/strict";
import { type Call, type Store, StoreError, type StoreErrorCode } from "#sidecar/stores/store.ts";
import { eventually, outcomeOf, settles } from "./checks.ts";
import { call, json, READ, removal, upsert, write } from "./requests.ts";

export interface Operation {
  readonly name: string;
  /** The key that it creates when it succeeds; null for what writes nothing, and for a delete. */
  readonly creates: string | null;
  readonly run: () => Promise<unknown>;
}

/** Each operation once, on keys that `key` makes. Calls go out when `run` is called. */
export function operations(store: Store, key: (name: string) => string, each: Call = call()): readonly Operation[] {
  const { getMany, transact } = store;
  const list: Operation[] = [
    { name: "get", creates: null, run: () => store.get(key("any"), READ, each) },
    { name: "set", creates: key("set"), run: () => store.set(write(key("set"), json(1)), each) },
    { name: "remove", creates: null, run: () => store.remove(removal(key("any")), each) },
    { name: "ping", creates: null, run: () => store.ping(each) },
  ];
  if (getMany !== undefined)
    list.push({
      name: "getMany",
      creates: null,
      run: async () => throwAll(await getMany.call(store, [key("any"), key("other")], READ, each)),
    });
  if (transact !== undefined) {
    const changes = [upsert(key("transact"), json(1)), upsert(key("transact-too"), json(1))];
    list.push({ name: "transact", creates: key("transact"), run: () => transact.call(store, changes, each) });
  }
  return [...list, ...walks(store, key, each)];
}

/** What a store that can walk over its keys does besides; nothing else lies in the range. */
function walks(store: Store, key: (name: string) => string, each: Call): readonly Operation[] {
  const { list, count, removeRange, removeListed } = store;
  const range = { scope: "conformance||", start: key("walk") };
  const page = { range, after: null, limit: 10, values: true };
  const found: Operation[] = [];
  const add = (name: string, run: Operation["run"]): void => void found.push({ name, creates: null, run });
  if (list !== undefined) add("list", () => list.call(store, page, each));
  if (count !== undefined) add("count", () => count.call(store, range, each));
  if (removeRange !== undefined) add("removeRange", () => removeRange.call(store, range, 10, each));
  if (removeListed !== undefined) add("removeListed", () => removeListed.call(store, [key("walk")], each));
  return found;
}

/** When every key has failed, the call has: a driver may say so once or once per key. */
function throwAll(rows: readonly unknown[]): void {
  const [first] = rows;
  if (first instanceof StoreError && rows.every((row) => row instanceof StoreError)) throw first;
}

/** The codes that leave open whether a write happened. Of all others the contract says that nothing was written. */
const OPEN_CODES: readonly StoreErrorCode[] = ["timeout", "unknown-outcome"];

export interface Outcome {
  readonly operation: Operation;
  /** Null for success. */
  readonly error: StoreError | null;
}

/** Starts all at once and waits for their ends; one that has none within the deadline fails the case. */
export function outcomes(list: readonly Operation[], deadlineMs: number): Promise<readonly Outcome[]> {
  const end = async (operation: Operation): Promise<Outcome> => {
    const error = await outcomeOf(settles(operation.run(), deadlineMs, operation.name));
    return { operation, error };
  };
  return Promise.all(list.map(end));
}

/** Every outcome is a success or has one of the codes. */
export function assertCodes(all: readonly Outcome[], codes: readonly StoreErrorCode[]): void {
  for (const { operation, error } of all) {
    const fits = error === null || codes.includes(error.code);
    assert.ok(fits, `${operation.name}: got code ${error?.code} (${error?.message}), want success or ${codes}`);
  }
}

/** Every outcome has one of the codes; none succeeded. */
export function assertRejected(all: readonly Outcome[], codes: readonly StoreErrorCode[]): void {
  for (const { operation, error } of all) assert.ok(error !== null, `${operation.name} succeeded, want ${codes}`);
  assertCodes(all, codes);
}

/** What the answers said about the writes is what a later reader finds. */
export async function assertTruth(reader: Store, all: readonly Outcome[]): Promise<void> {
  for (const { operation, error } of all) {
    if (operation.creates === null || (error !== null && OPEN_CODES.includes(error.code))) continue;
    const isThere = (await reader.get(operation.creates, READ, call())) !== null;
    const said = error === null ? "succeeded" : `said ${error.code}, so nothing was written`;
    assert.equal(
      isThere,
      error === null,
      `${operation.name} ${said}, and the value is ${isThere ? "there" : "not there"}`,
    );
  }
}

/** Writes and reads again until both work: the store has recovered by itself. */
export async function recovers(store: Store, key: string, deadlineMs: number): Promise<void> {
  await eventually("the store works again", deadlineMs, async () => {
    const isWritten = (await outcomeOf(settles(store.set(write(key, json(1)), call()), deadlineMs, "set"))) === null;
    return isWritten && (await outcomeOf(store.get(key, READ, call()))) === null;
  });
}
