// Conformance: transactions. All or nothing, in order, every condition compared with the state before the first change
// (dapr-state-stores.md 18.3 step 11, and what Dapr's Redis does not do).
import assert from "node:assert/strict";
import type { Change, StoreErrorCode } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor, waitingCaseFor } from "./case.ts";
import {
  assertBytes,
  etagOf,
  eventually,
  expectJson,
  expectMissing,
  expectUntouched,
  expectValue,
  getMany,
  mustFind,
  rejectsWith,
  transact,
} from "./checks.ts";
import { foreignCode } from "./etags.ts";
import { call, deletion, json, removal, upsert, write } from "./requests.ts";
import { all, hasEtags, hasTransactions, hasTtl, hasValueLimit, type Subject } from "./subject.ts";
import { expiryDeadlineMs, readableTtlSec } from "./ttl.ts";

const NAMES = ["a", "b", "c", "d", "e"] as const;
const HOUR_SEC = 3600;
/** As many changes as a store without a declared limit has to take at once. */
const MANY = 1000;

/** Presets five values and gives back a check that nothing of them has changed. */
async function preset({ store, key }: Context): Promise<() => Promise<void>> {
  for (const name of NAMES) await store.set(write(key(name), json(`old ${name}`)), call());
  const before = await Promise.all(NAMES.map((name) => mustFind(store, key(name))));
  return async () => {
    for (const [index, found] of before.entries()) await expectUntouched(store, key(NAMES[index] ?? ""), found);
  };
}

/** An upsert, a delete, and so on over the five keys, with `bad` in one place of the list. */
function listWith({ key }: Context, position: number, bad: Change): readonly Change[] {
  const changes = NAMES.map((name, index) => (index % 2 === 0 ? upsert(key(name), json("new")) : deletion(key(name))));
  return changes.with(position, bad);
}

/** Whatever place `bad` has in the list, the whole list is refused and nothing has changed. */
async function refusedAnywhere(
  context: Context,
  bad: (name: string) => Change | Promise<Change>,
  codes: readonly StoreErrorCode[],
): Promise<void> {
  const expectNothingChanged = await preset(context);
  for (const [position, name] of NAMES.entries()) {
    const changes = listWith(context, position, await bad(context.key(name)));
    await rejectsWith(transact(context.store, changes), codes, `a bad change in place ${position}`);
    await expectNothingChanged();
  }
}

const refusesDelete = ({ declares }: Subject): boolean => declares.traits.firstWriteDelete === "conflict";
const ignoresDelete = ({ declares }: Subject): boolean => declares.traits.firstWriteDelete === "ignored";
const keepsBytes = ({ declares }: Subject): boolean => declares.traits.values === "exact-bytes";
const hasOperationsLimit = ({ declares }: Subject): boolean => declares.limits.operationsMax !== null;

const plainCase = (name: string, run: Case["run"]): Case => caseFor(hasTransactions, name, run);
const etagCase = (name: string, run: Case["run"]): Case => caseFor(all(hasTransactions, hasEtags), name, run);

const unconditional: readonly Case[] = [
  plainCase("applies upserts and deletes, group after group", async ({ store, key }) => {
    await transact(store, [upsert(key("int"), json(123)), upsert(key("gone"), json("to be deleted"))]);
    await expectValue(store, key("int"), json(123));
    await transact(store, [upsert(key("struct"), json({ message: "test" })), deletion(key("gone"))]);
    await expectJson(store, key("struct"), { message: "test" });
    await expectMissing(store, key("gone"));
    await transact(store, [deletion(key("struct"))]);
    await expectMissing(store, key("struct"));
    await expectValue(store, key("int"), json(123));
  }),

  plainCase("deletes a key that is not there", ({ store, key }) =>
    transact(store, [deletion(key("non-existent-key"))]),
  ),

  plainCase("applies changes in their order", async ({ store, key }) => {
    await store.set(write(key("1"), json("value1")), call());
    const changes = [
      deletion(key("1")),
      upsert(key("2"), json("value2")),
      deletion(key("2")),
      upsert(key("3"), json("value3")),
    ];
    await transact(store, changes);
    await expectMissing(store, key("1"));
    await expectMissing(store, key("2"));
    await expectValue(store, key("3"), json("value3"));
  }),

  plainCase("takes a key several times: the last change stands", async ({ store, key }) => {
    await transact(store, [upsert(key("a"), json(1)), upsert(key("b"), json(1)), upsert(key("a"), json(2))]);
    await expectValue(store, key("a"), json(2));
    await transact(store, [
      deletion(key("a")),
      upsert(key("a"), json(3)),
      upsert(key("b"), json(2)),
      deletion(key("b")),
    ]);
    await expectValue(store, key("a"), json(3));
    await expectMissing(store, key("b"));
  }),

  caseFor(all(hasTransactions, keepsBytes), "keeps bytes exactly, JSON and raw ones", async ({ store, key }) => {
    const text = new TextEncoder().encode('{"b":1, "a":9007199254740993}');
    const raw = Uint8Array.of(0, 0xff, 0xc3, 0x28);
    await transact(store, [upsert(key("json"), text), upsert(key("raw"), raw, { isJson: false })]);
    await expectValue(store, key("json"), text);
    await expectValue(store, key("raw"), raw);
  }),

  plainCase("copies the bytes before it resolves", async ({ store, key }) => {
    const bytes = json("before");
    await transact(store, [upsert(key("a"), bytes), upsert(key("b"), bytes)]);
    assertBytes(bytes, json("before"));
    bytes.fill(0x20);
    await expectValue(store, key("a"), json("before"));
    await expectValue(store, key("b"), json("before"));
  }),

  plainCase("takes as many changes as it declares, or a thousand", async ({ store, key }) => {
    const count = store.limits.operationsMax ?? MANY;
    const keys = Array.from({ length: count }, (_, index) => key(`many-${index}`));
    await transact(
      store,
      keys.map((each, index) => upsert(each, json(index))),
    );
    const rows = await getMany(store, keys);
    for (const [index, row] of rows.entries()) assertBytes(row?.bytes ?? new Uint8Array(0), json(index));
  }),

  caseFor(all(hasTransactions, hasOperationsLimit), "refuses one change too many and applies none", async (context) => {
    const { store, key } = context;
    const count = (store.limits.operationsMax ?? 0) + 1;
    const changes = Array.from({ length: count }, (_, index) => upsert(key(`many-${index}`), json(index)));
    await rejectsWith(transact(store, changes), ["refused"]);
    await expectMissing(store, key("many-0"));
  }),

  caseFor(all(hasTransactions, hasValueLimit), "applies nothing when one value is too large", (context) => {
    const tooLarge = json("v".repeat(context.store.limits.valueBytesMax ?? 0));
    return refusedAnywhere(context, (key) => upsert(key, tooLarge), ["refused"]);
  }),

  caseFor(all(hasTransactions, hasTtl), "sets and clears the expiry of each change", async ({ store, key }) => {
    await store.set(write(key("clears"), json(1), { ttlSec: HOUR_SEC }), call());
    const changes = [
      upsert(key("sets"), json(2), { ttlSec: HOUR_SEC }),
      upsert(key("clears"), json(2)),
      upsert(key("last"), json(1), { ttlSec: HOUR_SEC }),
      upsert(key("last"), json(2)),
    ];
    const fromMs = Date.now();
    await transact(store, changes);
    const { expiresAtMs } = await mustFind(store, key("sets"));
    assert.ok(expiresAtMs !== null && Math.abs(expiresAtMs - fromMs - HOUR_SEC * 1000) < 60_000, `${expiresAtMs}`);
    assert.equal((await mustFind(store, key("clears"))).expiresAtMs, null);
    assert.equal((await mustFind(store, key("last"))).expiresAtMs, null);
  }),
];

const conditional: readonly Case[] = [
  etagCase("applies changes whose ETags are right, and makes new ones", async ({ store, key }) => {
    await store.set(write(key("a"), json(1)), call());
    await store.set(write(key("b"), json(1)), call());
    const [a, b] = [await etagOf(store, key("a")), await etagOf(store, key("b"))];
    await transact(store, [upsert(key("a"), json(2), { etag: a }), deletion(key("b"), { etag: b })]);
    await expectValue(store, key("a"), json(2));
    assert.notEqual(await etagOf(store, key("a")), a);
    await expectMissing(store, key("b"));
  }),

  etagCase("applies nothing when one upsert has a stale ETag, wherever it stands", (context) => {
    const stale = async (key: string): Promise<Change> => upsert(key, json("new"), { etag: await otherEtag(context) });
    return refusedAnywhere(context, stale, ["etag-mismatch"]);
  }),

  etagCase("applies nothing when one delete has a stale ETag, wherever it stands", (context) => {
    const stale = async (key: string): Promise<Change> => deletion(key, { etag: await otherEtag(context) });
    return refusedAnywhere(context, stale, ["etag-mismatch"]);
  }),

  etagCase("applies nothing when one ETag is foreign, with the declared code", (context) =>
    refusedAnywhere(context, (key) => upsert(key, json("new"), { etag: "bad-etag" }), [foreignCode(context)]),
  ),

  etagCase("applies nothing when an ETag comes for a key that is not there", async (context) => {
    const etag = await otherEtag(context);
    const missing = context.key("missing");
    await refusedAnywhere(context, () => upsert(missing, json("new"), { etag }), ["etag-mismatch"]);
    await refusedAnywhere(context, () => deletion(missing, { etag }), ["etag-mismatch"]);
    await expectMissing(context.store, missing);
  }),

  etagCase("applies nothing when one first-write meets a value, wherever it stands", (context) =>
    refusedAnywhere(context, (key) => upsert(key, json("new"), { firstWrite: true }), ["etag-mismatch"]),
  ),

  caseFor(
    all(hasTransactions, hasEtags, refusesDelete),
    "applies nothing when one first-write delete meets a value",
    (context) => refusedAnywhere(context, (key) => deletion(key, { firstWrite: true }), ["etag-mismatch"]),
  ),

  caseFor(
    all(hasTransactions, hasEtags, ignoresDelete),
    "takes a first-write delete inside as a plain one",
    async (context) => {
      const { store, key } = context;
      await store.set(write(key("a"), json(1)), call());
      await transact(store, [deletion(key("a"), { firstWrite: true }), upsert(key("b"), json(1))]);
      await expectMissing(store, key("a"));
    },
  ),

  etagCase("creates with first-write inside, and only once", async ({ store, key }) => {
    const changes = [upsert(key("a"), json(1), { firstWrite: true }), upsert(key("b"), json(1), { firstWrite: true })];
    await transact(store, changes);
    const before = await mustFind(store, key("b"));
    await store.remove(removal(key("a")), call());
    await rejectsWith(transact(store, changes), ["etag-mismatch"]);
    await expectMissing(store, key("a"));
    await expectUntouched(store, key("b"), before);
  }),

  etagCase("compares every ETag with the state before the first change", async ({ store, key }) => {
    await store.set(write(key("a"), json(1)), call());
    let etag = await etagOf(store, key("a"));
    await transact(store, [upsert(key("a"), json(2)), upsert(key("a"), json(3), { etag })]);
    await expectValue(store, key("a"), json(3));
    etag = await etagOf(store, key("a"));
    await transact(store, [deletion(key("a"), { etag }), upsert(key("a"), json(4), { etag })]);
    await expectValue(store, key("a"), json(4));
    etag = await etagOf(store, key("a"));
    await transact(store, [upsert(key("a"), json(5), { etag }), deletion(key("a"), { etag })]);
    await expectMissing(store, key("a"));
  }),

  etagCase("compares first-write with the state before the first change", async ({ store, key }) => {
    await transact(store, [upsert(key("a"), json(1)), upsert(key("a"), json(2), { firstWrite: true })]);
    await expectValue(store, key("a"), json(2));
    const before = await mustFind(store, key("a"));
    const changes = [deletion(key("a")), upsert(key("a"), json(3), { firstWrite: true })];
    await rejectsWith(transact(store, changes), ["etag-mismatch"]);
    await expectUntouched(store, key("a"), before);
  }),

  waitingCaseFor(
    all(hasTransactions, hasEtags, hasTtl),
    "counts an expired value as missing inside, for its own ETag and for first-write",
    async (context) => {
      const { store, key, subject } = context;
      const ttlSec = readableTtlSec(subject);
      for (const name of ["a", "b"]) await store.set(write(key(name), json("expires"), { ttlSec }), call());
      const etag = await etagOf(store, key("a"));
      await eventually("both values expire", expiryDeadlineMs(context, ttlSec), async () =>
        (await getMany(store, [key("a"), key("b")])).every((found) => found === null),
      );
      // What has expired may still lie there: nothing reads it, and nothing is compared with it.
      for (const change of [upsert(key("a"), json("new"), { etag }), deletion(key("a"), { etag })])
        await rejectsWith(transact(store, [upsert(key("c"), json("new")), change]), ["etag-mismatch"]);
      await expectMissing(store, key("a"));
      await expectMissing(store, key("c"));
      const first = (name: string): Change => upsert(key(name), json("first"), { firstWrite: true });
      await transact(store, [first("a"), first("b")]);
      await expectValue(store, key("a"), json("first"));
      assert.equal((await mustFind(store, key("b"))).expiresAtMs, null);
    },
  ),
];

/** An ETag of this store's making that none of the preset values has. */
async function otherEtag({ store, key }: Context): Promise<string> {
  // Counters begin at the same number for every key, so this one has to be a later one than the presets have.
  for (let count = 0; count < 3; count++) await store.set(write(key("other"), json(count)), call());
  return etagOf(store, key("other"));
}

export const transactions: Chapter = { name: "transactions", cases: [...unconditional, ...conditional] };
