// Conformance: every key is itself. No character is a pattern, no two keys meet, no length is cut.
import assert from "node:assert/strict";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import { expectMissing, expectValue, getMany, outcomeOf, rejectsWith, transact } from "./checks.ts";
import { call, deletion, json, READ, removal, upsert, write } from "./requests.ts";
import { hasKeyLimit, hasTransactions } from "./subject.ts";
import { refusesBars } from "./surface.ts";
import { SCOPE } from "./walking.ts";

/** Endings of a key, each beside one that a careless store would take for the same. */
const PAIRS: Readonly<Record<string, readonly [string, string]>> = {
  "keys that differ only in case": ["Order", "order"],
  "letters beyond ASCII that differ only in case": ["\u00c4", "\u00e4"],
  "composed and decomposed letters": ["\u00e9", "e\u0301"],
  "a letter and its accented form": ["\u00e9", "e"],
  "characters outside the first plane": ["\u{1f9fa}", "\u{1f9fb}"],
  "a space at the end": ["end ", "end"],
  "a space in the middle": ["a b", "a+b"],
  "a percent sign and what it matches in LIKE": ["a%", "ab"],
  "an underscore and what it matches in LIKE": ["a_c", "abc"],
  "a star and what it matches in a glob": ["a*", "ab"],
  "a question mark and what it matches in a glob": ["a?", "ab"],
  "brackets and what they match in a glob": ["[ab]", "a"],
  "a backslash and its double": ["a\\b", "a\\\\b"],
  "single quotes": ["o'clock", "oclock"],
  "double quotes": ['say "a"', "say a"],
  "a piece of SQL": ["'; DELETE FROM state; --", "';"],
  "braces, as Redis takes them for a slot": ["{a}b", "{a}c"],
  "line ends and tabs": ["a\nb", "a\tb"],
  "slashes and dots": ["../a", "a"],
  "percent escapes": ["a%20b", "a b"],
  "numbers with the same value": ["1", "01"],
  "a key and its beginning": ["begin", "beginning"],
};

async function staysApart({ store, key }: Context, ours: string, other: string): Promise<void> {
  await store.set(write(key(ours), json("ours")), call());
  await expectMissing(store, key(other));
  await store.remove(removal(key(other)), call());
  await expectValue(store, key(ours), json("ours"));
  await store.set(write(key(other), json("other")), call());
  const rows = await getMany(store, [key(ours), key(other)]);
  assert.deepEqual(
    rows.map((row) => Buffer.from(row?.bytes ?? []).toString()),
    ['"ours"', '"other"'],
  );
  await store.remove(removal(key(ours)), call());
  await expectMissing(store, key(ours));
  await expectValue(store, key(other), json("other"));
}

/** Bytes of key that every store takes, unless it declares fewer. */
const LONG_KEY_BYTES = 1024;

/** A key of exactly so many bytes of UTF-8. */
function keyOf(bytes: number, key: Context["key"]): string {
  const start = key("");
  return start + "k".repeat(bytes - Buffer.byteLength(start));
}

const cases: readonly Case[] = [
  ...Object.entries(PAIRS).map(([what, [ours, other]]) =>
    caseFor(null, `keeps apart ${what}`, (context) => staysApart(context, ours, other)),
  ),

  caseFor(hasTransactions, "keeps the same keys apart in a transaction", async ({ store, key }) => {
    const endings = [...new Set(Object.values(PAIRS).flat())].map((ending) => key(ending));
    await transact(
      store,
      endings.map((each, index) => upsert(each, json(index))),
    );
    for (const [index, each] of endings.entries()) await expectValue(store, each, json(index));
    await transact(
      store,
      endings.map((each) => deletion(each)),
    );
    for (const each of endings) await expectMissing(store, each);
  }),

  caseFor(null, "takes long keys whole", async (context) => {
    const bytes = Math.min(LONG_KEY_BYTES, context.store.limits.keyBytesMax ?? LONG_KEY_BYTES);
    const long = keyOf(bytes - 1, context.key);
    await context.store.set(write(`${long}a`, json("a")), call());
    await expectMissing(context.store, `${long}b`);
    await expectValue(context.store, `${long}a`, json("a"));
  }),

  caseFor(hasKeyLimit, "refuses a key that is one letter too long, and writes nothing", async (context) => {
    const { subject, store, key } = context;
    const bytesMax = store.limits.keyBytesMax ?? 0;
    const longest = subject.longestKey?.(key("")) ?? keyOf(bytesMax, key);
    assert.ok(Buffer.byteLength(longest) <= bytesMax);
    await store.set(write(longest, json(1)), call());
    await expectValue(store, longest, json(1));
    await rejectsWith(store.set(write(`${longest}k`, json(2)), call()), ["refused"]);
    await expectValue(store, longest, json(1));
  }),

  caseFor(refusesBars, "refuses a key with two bars in whatever call, and writes nothing", async (context) => {
    const { store, key } = context;
    const barred = key("a||b");
    await store.set(write(key("a"), json("a")), call());
    const range = { scope: SCOPE, start: barred };
    const both = [upsert(key("b"), json(1)), deletion(key("a"))];
    const calls: Readonly<Record<string, () => Promise<unknown> | undefined>> = {
      get: () => store.get(barred, READ, call()),
      set: () => store.set(write(barred, json(1)), call()),
      remove: () => store.remove(removal(barred), call()),
      getMany: () => getMany(store, [key("a"), barred]),
      "transact, an upsert": () => store.transact?.([...both, upsert(barred, json(1))], call()),
      "transact, a delete": () => store.transact?.([...both, deletion(barred)], call()),
      list: () => store.list?.({ range, after: null, limit: 1, values: false }, call()),
      count: () => store.count?.(range, call()),
      removeRange: () => store.removeRange?.(range, 1, call()),
    };
    for (const [name, run] of Object.entries(calls)) {
      const promise = run();
      if (promise !== undefined) await rejectsWith(promise, ["refused"], name);
    }
    await expectMissing(store, key("b"));
    await expectValue(store, key("a"), json("a"));
  }),

  caseFor(null, "keeps a key with a NUL apart, or refuses it", async ({ store, key }) => {
    const refusal = await outcomeOf(store.set(write(key("a\0b"), json("nul")), call()));
    if (refusal === null) await expectValue(store, key("a\0b"), json("nul"));
    else assert.equal(refusal.code, "refused");
    await expectMissing(store, key("a"));
  }),
];

export const keys: Chapter = { name: "keys", cases };
