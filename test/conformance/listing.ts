// Conformance: walks over keys. A range tells its live rows and no others, page by page; count and removal agree with it.
// Where the store has no order of keys, sets are compared and a key may come twice.
import assert from "node:assert/strict";
import type { KeyRange } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor, waitingCaseFor } from "./case.ts";
import { assertBytes, eventually, expectMissing, expectValue, mustFind, outcomeOf } from "./checks.ts";
import { underWrites } from "./listing-under-writes.ts";
import { call, json, READ, removal, utf8, write } from "./requests.ts";
import { all, canList, hasTtl, isOrdered } from "./subject.ts";
import { manyRawText, surfaceOf, takesBars } from "./surface.ts";
import { expiryDeadlineMs, shortTtlSec } from "./ttl.ts";
import { barred, listPage, numbered, rangeOf, SCOPE, setAll, told, walk } from "./walking.ts";

/** Beginnings of keys, each with keys that a pattern or a collation would take for theirs, and that are not. */
const BEGINNINGS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  "a percent sign": ["a%", "ab", "a", "a\\%"],
  "an underscore": ["a_", "ab", "a-", "a\\_"],
  "a star": ["a*", "ab", "a", "a\\*"],
  "a question mark": ["a?", "ab", "a\\?"],
  brackets: ["[ab]", "a", "b", "[", "\\[ab]"],
  "a negated bracket": ["[^a]", "b", "^"],
  "a backslash": ["a\\", "a", "a/", "a*"],
  "a single quote": ["a'", "a", "b'"],
  "a double quote": ['a"', "a", "a'"],
  "a capital letter": ["A", "a", "\u00c4"],
  "an accented letter": ["\u00e9", "e", "e\u0301", "\u00c9"],
  "the last character of the first plane": ["\uffff", "\ufffe", "\u{10000}"],
  "the last character of all": ["\u{10ffff}", "\u{10fffe}", "\uffff"],
  "the character before the surrogates": ["\ud7ff", "\ue000", "\ud7fe"],
  "a single bar": ["a|", "a", "a}"],
  "a space": ["a ", "a", "a+", "a%20"],
};

/** Texts whose order by bytes is not their order by UTF-16, by collation, or by number. */
const ORDERED = [
  "",
  "!",
  "10",
  "2",
  "A",
  "B",
  "Z",
  "_",
  "a",
  "b",
  "\u00df",
  "\u00e9",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "\u{10000}",
  "\u{1f9fa}",
];

const pages: readonly Case[] = [
  caseFor(canList, "tells the keys that begin with a text, and no others", async (context) => {
    await setAll(context, ["a", "ab", "abc", "abd", "ac", "b", "aB"]);
    assert.deepEqual(await told(context, rangeOf(context, "ab")), ["ab", "abc", "abd"]);
    assert.deepEqual(await told(context, rangeOf(context)), ["a", "aB", "ab", "abc", "abd", "ac", "b"]);
  }),

  caseFor(canList, "tells nothing where there is nothing", async (context) => {
    await setAll(context, ["a", "c"]);
    assert.deepEqual(await told(context, rangeOf(context, "b")), []);
  }),

  caseFor(all(canList, isOrdered), "tells keys in the order of their bytes", async (context) => {
    await setAll(context, ORDERED.toReversed());
    assert.deepEqual(await told(context, rangeOf(context)), ORDERED);
    assert.deepEqual(await told(context, rangeOf(context), { limit: 1 }), ORDERED);
  }),

  ...Object.entries(BEGINNINGS).map(([what, [beginning, ...others]]) =>
    caseFor(canList, `takes ${what} in a beginning as itself`, async (context) => {
      const ours = [beginning, `${beginning}x`];
      await setAll(context, [...ours, ...others, ...others.map((other) => `${other}x`)]);
      assert.deepEqual(await told(context, rangeOf(context, beginning)), ours);
      assert.deepEqual(await told(context, rangeOf(context, beginning), { limit: 1 }), ours);
    }),
  ),

  caseFor(canList, "gives every key once, whatever the size of a page", async (context) => {
    const names = numbered(23);
    await setAll(context, names);
    for (const limit of [1, 2, 3, 7, 22, 23, 24, 1000]) {
      assert.deepEqual(await told(context, rangeOf(context), { limit }), names, `pages of ${limit}`);
    }
  }),

  caseFor(canList, "walks over many keys in pages of the usual size", async (context) => {
    const names = numbered(1500);
    await setAll(context, names);
    assert.deepEqual(await told(context, rangeOf(context), { limit: 1000 }), names);
    assert.deepEqual(await told(context, rangeOf(context), { limit: 100, values: true }), names);
  }),

  caseFor(all(canList, takesBars), "never tells a key with two bars behind the scope", async (context) => {
    const { store } = context;
    await setAll(context, ["a", "a|b", "|", "a||b", "||", "a|||b", "actor||1||state"]);
    assert.deepEqual(await told(context, rangeOf(context)), ["a", "a|b", "|"]);
    assert.deepEqual(await told(context, rangeOf(context, "a|")), ["a|b"]);
    const bare = context.key("bare").slice(SCOPE.length);
    await store.set(write(bare, json("bare")), call());
    try {
      const all = (await walk(store, { scope: "", start: "" }, { limit: 1000 })).map(({ key }) => key);
      assert.ok(all.includes(bare));
      assert.deepEqual(
        all.filter((key) => key.includes("||")),
        [],
      );
    } finally {
      await store.remove(removal(bare), call());
    }
  }),

  caseFor(canList, "does not tell a key that was deleted", async (context) => {
    await setAll(context, ["a", "b", "c"]);
    await context.store.remove(removal(context.key("b")), call());
    assert.deepEqual(await told(context, rangeOf(context)), ["a", "c"]);
  }),

  waitingCaseFor(all(canList, hasTtl), "does not tell or count a value whose time is over", async (context) => {
    const { store, key, subject } = context;
    const ttlSec = shortTtlSec(subject);
    await store.set(write(key("goes"), json(1), { ttlSec }), call());
    await store.set(write(key("stays"), json(1)), call());
    await eventually("the value goes", expiryDeadlineMs(context, ttlSec), async () => {
      return (await store.get(key("goes"), READ, call())) === null;
    });
    assert.deepEqual(await told(context, rangeOf(context)), ["stays"]);
    assert.deepEqual(await told(context, rangeOf(context), { values: true }), ["stays"]);
    if (store.count !== undefined) assert.equal(await store.count(rangeOf(context), call()), 1);
    if (store.removeRange !== undefined) assert.equal(await store.removeRange(rangeOf(context), 10, call()), 1);
  }),
];

const values: readonly Case[] = [
  caseFor(canList, "gives values only when asked for", async (context) => {
    await setAll(context, ["a"]);
    const [row] = await walk(context.store, rangeOf(context));
    assert.equal(row?.found, null);
  }),

  caseFor(canList, "gives with each key what get gives", async (context) => {
    const { store, key, subject } = context;
    await store.set(write(key("json"), utf8('{"b":1,"a":[]}')), call());
    await store.set(write(key("raw"), Uint8Array.of(0, 0xff, 0xc3, 0x28), { isJson: false }), call());
    await store.set(write(key("empty"), new Uint8Array(0), { isJson: false }), call());
    if (hasTtl(subject)) await store.set(write(key("expires"), json(1), { ttlSec: 3600 }), call());
    const rows = await walk(store, rangeOf(context), { values: true });
    const { toldExpiryStepMs } = surfaceOf(subject);
    assert.equal(rows.length, hasTtl(subject) ? 4 : 3);
    for (const row of rows) {
      const found = await mustFind(store, row.key);
      assert.ok(row.found !== null, `no value with ${row.key}`);
      assertBytes(row.found.bytes, found.bytes);
      assert.equal(row.found.etag, found.etag);
      // A store that only knows how long is left computes the hour anew each time.
      const apartMs = Math.abs((row.found.expiresAtMs ?? 0) - (found.expiresAtMs ?? 0));
      assert.ok((row.found.expiresAtMs === null) === (found.expiresAtMs === null) && apartMs < 1000 + toldExpiryStepMs);
    }
  }),

  caseFor(canList, "gives raw bytes that are text", async (context) => {
    const text = utf8("hello, \u00e9 and \u{1f9fa}");
    await context.store.set(write(context.key("text"), text, { isJson: false }), call());
    const [row] = await walk(context.store, rangeOf(context), { values: true });
    assertBytes(row?.found?.bytes ?? new Uint8Array(0), manyRawText(context, text));
  }),

  caseFor(canList, "ends a page whose values have become many bytes", async (context) => {
    const { pageBytesMax } = surfaceOf(context.subject);
    // Large, and no larger than a request or a value may be.
    const bytes = Math.min(pageBytesMax / 4, 1024 * 1024, (context.store.limits.valueBytesMax ?? Infinity) - 2);
    const rowsMax = Math.ceil(pageBytesMax / bytes) + 1;
    const names = numbered(rowsMax + 7);
    for (const name of names) await context.store.set(write(context.key(name), json("x".repeat(bytes))), call());
    const first = await listPage(context.store, { range: rangeOf(context), after: null, limit: 1000, values: true });
    assert.ok(first.rows.length <= rowsMax, `${first.rows.length} rows of ${bytes} bytes in a page`);
    assert.ok(first.next !== null);
    assert.deepEqual(await told(context, rangeOf(context), { values: true }), names);
  }),
];

/** Positions that no page of the range has ended with. */
const FOREIGN = [
  "",
  "0",
  "1",
  "zzz",
  "-1",
  "18446744073709551616",
  "||",
  "%",
  "other||key",
  "\u{1f9fa}",
  "YWJj",
  "a".repeat(5000),
];

const positions: readonly Case[] = [
  caseFor(canList, "never leaves the range, whatever position comes in", async (context) => {
    await setAll(context, ["a1", "a2", "b1", "b2"]);
    const mine = rangeOf(context, "a");
    const first = await listPage(context.store, { range: rangeOf(context, "b"), after: null, limit: 1, values: false });
    for (const after of [...FOREIGN, context.key("a1"), context.key("b1"), SCOPE, ...(first.next ?? "0").split("")]) {
      await staysInside(context, mine, after);
    }
    if (first.next !== null) await staysInside(context, mine, first.next);
  }),
];

/** A position may be refused; what is told after it lies in the range all the same. */
async function staysInside({ store }: Context, range: KeyRange, after: string): Promise<void> {
  const shown = `position ${JSON.stringify(after.slice(0, 80))}`;
  const error = await outcomeOf(
    listPage(store, { range, after, limit: 10, values: false }).then(({ rows }) => {
      for (const { key } of rows) assert.ok(key.startsWith(range.start), `${shown}: ${key} was told`);
    }),
  );
  assert.ok(error === null || error.code === "refused", `${shown}: ${error?.code} (${error?.message})`);
}

/** The row limits of removals are tried with these. */
const REMOVED = 10;

const sums: readonly Case[] = [
  caseFor(canList, "counts what a walk tells", async (context) => {
    const { store } = context;
    await setAll(context, [...numbered(37, "a"), ...numbered(5, "b"), ...barred(context, "a||x"), "c"]);
    for (const [beginning, count] of [
      ["a", 37],
      ["b", 5],
      ["", 43],
      ["none", 0],
    ] as const) {
      const range = rangeOf(context, beginning);
      assert.equal((await told(context, range)).length, count);
      if (store.count !== undefined) assert.equal(await store.count(range, call()), count);
    }
  }),

  caseFor(canList, "removes at most so many rows of a range, and says how many", async (context) => {
    const { store } = context;
    if (store.removeRange === undefined) return;
    const others = barred(context, "a||x");
    await setAll(context, [...numbered(25, "a"), "b", "a%", ...others, "A0"]);
    const range = rangeOf(context, "a0");
    const removed: number[] = [];
    for (let left = 25; left > 0; left -= REMOVED) {
      removed.push(await store.removeRange(range, REMOVED, call()));
      assert.equal((await told(context, range)).length, Math.max(0, left - REMOVED));
    }
    assert.deepEqual(removed, [10, 10, 5]);
    assert.equal(await store.removeRange(range, REMOVED, call()), 0);
    assert.deepEqual(await told(context, rangeOf(context)), ["A0", "a%", "b"]);
    for (const other of others) await expectValue(store, context.key(other), json(other));
  }),

  caseFor(canList, "removes the rows that were told, and counts only those that are still there", async (context) => {
    const { store, key } = context;
    if (store.removeListed === undefined) return;
    await setAll(context, [...numbered(25), "stays"]);
    await store.remove(removal(key("00003")), call());
    assert.equal(await store.removeListed(numbered(25).map(key), call()), 24);
    assert.equal(await store.removeListed(numbered(25).map(key), call()), 0);
    await expectMissing(store, key("00000"));
    assert.deepEqual(await told(context, rangeOf(context)), ["stays"]);
  }),
];

export const listing: Chapter = {
  name: "walks over keys",
  cases: [...pages, ...values, ...underWrites, ...positions, ...sums],
};
