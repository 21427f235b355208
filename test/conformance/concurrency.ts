// Conformance: many callers at once. No update is lost, one first-write wins, nobody sees half a transaction. Callers share
// a store, and where the data outlive it they also come over a second one, as another replica of the application would.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import { etagOf, expectMissing, expectValue, mustFind, outcomeOf, transact } from "./checks.ts";
import { call, json, removal, upsert, write } from "./requests.ts";
import { all, hasEtags, hasTransactions, isDurable, not, type Subject } from "./subject.ts";

const CALLERS = 8;
const INCREMENTS = 10;
/** Losing so often in a row means that nobody wins. */
const ATTEMPTS_MAX = 2000;
const PAIRS = 100;

async function numberIn(store: Store, key: string): Promise<number> {
  return Number(Buffer.from((await mustFind(store, key)).bytes).toString());
}

/** True when the promise succeeds, false on a conflict; anything else fails the case. */
async function wins(promise: Promise<void>): Promise<boolean> {
  const error = await outcomeOf(promise);
  if (error !== null) assert.equal(error.code, "etag-mismatch", error.message);
  return error === null;
}

/** Read, add one, write if unchanged, again on a conflict. */
async function increment(store: Store, key: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const { bytes, etag } = await mustFind(store, key);
    const next = json(Number(Buffer.from(bytes).toString()) + 1);
    if (await wins(store.set(write(key, next, { etag }), call()))) return;
  }
  assert.fail(`no increment came through in ${ATTEMPTS_MAX} attempts`);
}

/** The same over two keys in one transaction. */
async function incrementBoth(store: Store, left: string, right: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const [a, b] = await Promise.all([mustFind(store, left), mustFind(store, right)]);
    const next = json(Number(Buffer.from(a.bytes).toString()) + 1);
    const changes = [upsert(left, next, { etag: a.etag }), upsert(right, next, { etag: b.etag })];
    if (await wins(transact(store, changes))) return;
  }
  assert.fail(`no transaction came through in ${ATTEMPTS_MAX} attempts`);
}

function inTurn(stores: readonly Store[]): readonly Store[] {
  const callers = Array.from({ length: CALLERS }, (_, index) => stores[index % stores.length]);
  return callers.filter((store) => store !== undefined);
}

async function losesNoIncrement(stores: readonly Store[], key: string): Promise<void> {
  const callers = inTurn(stores);
  for (const store of callers.slice(0, 1)) await store.set(write(key, json(0)), call());
  const many = async (store: Store): Promise<void> => {
    for (let count = 0; count < INCREMENTS; count++) await increment(store, key);
  };
  await Promise.all(callers.map(many));
  for (const store of stores) assert.equal(await numberIn(store, key), CALLERS * INCREMENTS);
}

/** All write at once; exactly one gets through, and its value is what stays. */
async function oneWins(stores: readonly Store[], key: string, etag: string | null): Promise<void> {
  const attempts = inTurn(stores).map((store, index) =>
    wins(store.set(write(key, json(index), { etag, firstWrite: etag === null }), call())),
  );
  const won = await Promise.all(attempts);
  assert.equal(won.filter(Boolean).length, 1, `winners: ${won}`);
  for (const store of stores) await expectValue(store, key, json(won.indexOf(true)));
}

async function twoStores(context: Context): Promise<readonly Store[]> {
  return [context.store, await context.open()];
}

/**
 * One writer sets both keys to the same rising number. Whoever reads one key and then the other must not find the second
 * one behind, in whichever order: that would be a look at half a transaction.
 */
async function neverShowsHalf(writer: Store, reader: Store, left: string, right: string): Promise<void> {
  await transact(writer, [upsert(left, json(0)), upsert(right, json(0))]);
  const done = { yet: false };
  const read = async (first: string, second: string): Promise<void> => {
    while (!done.yet) {
      const earlier = await numberIn(reader, first);
      const later = await numberIn(reader, second);
      assert.ok(later >= earlier, `half a transaction: ${second} is ${later} after ${first} was ${earlier}`);
    }
  };
  const write = async (): Promise<void> => {
    try {
      for (let count = 1; count <= PAIRS; count++)
        await transact(writer, [upsert(left, json(count)), upsert(right, json(count))]);
    } finally {
      done.yet = true;
    }
  };
  await Promise.all([write(), read(left, right), read(right, left)]);
}

/** A store that does not answer in the same turn: a reader can come between. */
const etagsOverTwo = all(hasEtags, isDurable);
const transactionsOverTwo = all(hasEtags, hasTransactions, isDurable);
const conditionalTransactions = all(hasEtags, hasTransactions);
const lastWriteOnly = (subject: Subject): boolean => not(hasEtags)(subject);

const cases: readonly Case[] = [
  caseFor(hasEtags, "loses no increment among callers that compare ETags", ({ store, key }) =>
    losesNoIncrement([store], key("counter")),
  ),

  caseFor(etagsOverTwo, "loses no increment over two stores on the same data", async (context) =>
    losesNoIncrement(await twoStores(context), context.key("counter")),
  ),

  caseFor(hasEtags, "lets one of many first-writes win", ({ store, key }) => oneWins([store], key("value"), null)),

  caseFor(etagsOverTwo, "lets one of many first-writes win over two stores", async (context) =>
    oneWins(await twoStores(context), context.key("value"), null),
  ),

  caseFor(hasEtags, "lets one of many writes with the same ETag win", async ({ store, key }) => {
    await store.set(write(key("value"), json("before")), call());
    await oneWins([store], key("value"), await etagOf(store, key("value")));
  }),

  caseFor(hasEtags, "lets one of many deletes with the same ETag win", async ({ store, key }) => {
    await store.set(write(key("value"), json("before")), call());
    const etag = await etagOf(store, key("value"));
    const deletes = inTurn([store]).map((each) => wins(each.remove(removal(key("value"), { etag }), call())));
    assert.equal((await Promise.all(deletes)).filter(Boolean).length, 1);
    await expectMissing(store, key("value"));
  }),

  caseFor(conditionalTransactions, "loses no increment of two keys in a transaction", async ({ store, key }) => {
    const [left, right] = [key("left"), key("right")];
    await transact(store, [upsert(left, json(0)), upsert(right, json(0))]);
    await Promise.all(inTurn([store]).map((each) => incrementBoth(each, left, right)));
    assert.equal(await numberIn(store, left), CALLERS);
    assert.equal(await numberIn(store, right), CALLERS);
  }),

  caseFor(conditionalTransactions, "lets one of many creating transactions win", async ({ store, key }) => {
    const created = inTurn([store]).map((each, index) => {
      const changes = [key("left"), key("right")].map((name) => upsert(name, json(index), { firstWrite: true }));
      // Half of them name the keys the other way round: the classic way into a deadlock.
      return wins(transact(each, index % 2 === 0 ? changes : changes.toReversed()));
    });
    const won = await Promise.all(created);
    assert.equal(won.filter(Boolean).length, 1, `winners: ${won}`);
    assert.equal(await numberIn(store, key("left")), won.indexOf(true));
    assert.equal(await numberIn(store, key("right")), won.indexOf(true));
  }),

  caseFor(hasTransactions, "never shows half a transaction", ({ store, key }) =>
    neverShowsHalf(store, store, key("left"), key("right")),
  ),

  caseFor(transactionsOverTwo, "never shows half a transaction to another store", async (context) =>
    neverShowsHalf(context.store, await context.open(), context.key("left"), context.key("right")),
  ),

  caseFor(lastWriteOnly, "keeps one whole value of many written at once", async ({ store, key }) => {
    const written = inTurn([store]).map((each, index) => each.set(write(key("value"), json(index)), call()));
    await Promise.all(written);
    const last = await numberIn(store, key("value"));
    assert.ok(last >= 0 && last < CALLERS, `a value that nobody wrote: ${last}`);
  }),
];

export const concurrency: Chapter = { name: "concurrency", cases };
