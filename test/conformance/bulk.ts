// Conformance: getMany. As many answers as keys, in their order, each what `get` answers (dapr-state-stores.md 18.3 step 9).
// A driver without getMany is asked key by key, as the core does.
import assert from "node:assert/strict";
import type { Found } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import { assertBytes, expectValue, getMany, mustFind } from "./checks.ts";
import { call, json, removal, utf8, write } from "./requests.ts";
import { hasEtags } from "./subject.ts";
import { manyRawText } from "./surface.ts";

const MANY = 1000;
const AT_ONCE = 50;

/** Writes the names as their own values, in another order than they are asked for. */
async function setAll({ store, key }: Context, names: readonly string[]): Promise<void> {
  for (const name of names.toReversed()) await store.set(write(key(name), json(name)), call());
}

function texts(rows: readonly (Found | null)[]): readonly (string | null)[] {
  return rows.map((row) => (row === null ? null : String(JSON.parse(Buffer.from(row.bytes).toString()))));
}

async function asked({ store, key }: Context, names: readonly string[]): Promise<readonly (string | null)[]> {
  return texts(await getMany(store, names.map(key)));
}

const cases: readonly Case[] = [
  caseFor(null, "answers in the order of the keys", async (context) => {
    const names = ["m", "z", "a", "10", "9", "Z", "\u00e9"];
    await setAll(context, names);
    assert.deepEqual(await asked(context, names), names);
    assert.deepEqual(await asked(context, names.toReversed()), names.toReversed());
  }),

  caseFor(null, "answers null in the place of a missing key", async (context) => {
    await setAll(context, ["a", "c"]);
    assert.deepEqual(await asked(context, ["x", "a", "y", "c", "z"]), [null, "a", null, "c", null]);
    assert.deepEqual(await asked(context, ["x", "y"]), [null, null]);
  }),

  caseFor(null, "answers a key as often as it is asked for", async (context) => {
    await setAll(context, ["a", "b"]);
    const names = ["a", "b", "a", "missing", "a", "missing", "b"];
    assert.deepEqual(await asked(context, names), ["a", "b", "a", null, "a", null, "b"]);
  }),

  caseFor(null, "answers nothing when asked for nothing", async (context) => {
    assert.deepEqual(await asked(context, []), []);
  }),

  caseFor(null, "answers a single key", async (context) => {
    await setAll(context, ["a"]);
    assert.deepEqual(await asked(context, ["a"]), ["a"]);
  }),

  caseFor(null, "answers null for a key that was deleted", async (context) => {
    await setAll(context, ["a", "b"]);
    await context.store.remove(removal(context.key("a")), call());
    assert.deepEqual(await asked(context, ["a", "b"]), [null, "b"]);
  }),

  caseFor(null, "answers the same bytes as get, JSON and raw ones", async ({ store, key }) => {
    await store.set(write(key("json"), utf8('{"b":1,"a":[]}')), call());
    await store.set(write(key("raw"), Uint8Array.of(0, 0xff, 0xc3, 0x28), { isJson: false }), call());
    await store.set(write(key("empty"), new Uint8Array(0), { isJson: false }), call());
    const names = ["raw", "empty", "json"];
    const rows = await getMany(store, names.map(key));
    for (const [index, name] of names.entries()) {
      const row = rows[index];
      assert.ok(row !== null && row !== undefined, `no ${name}`);
      assertBytes(row.bytes, (await mustFind(store, key(name))).bytes);
    }
  }),

  caseFor(null, "answers raw bytes that are text", async (context) => {
    const { store, key } = context;
    const text = utf8('aGVsbG8= \u00e9 "\n');
    await store.set(write(key("text"), text, { isJson: false }), call());
    const [row] = await getMany(store, [key("text")]);
    assertBytes(row?.bytes ?? new Uint8Array(0), manyRawText(context, text));
    await expectValue(store, key("text"), text);
  }),

  caseFor(hasEtags, "answers the ETag of each value", async (context) => {
    await setAll(context, ["a", "b"]);
    await setAll(context, ["b"]);
    const rows = await getMany(context.store, [context.key("b"), context.key("a")]);
    assert.equal(rows[0]?.etag, (await mustFind(context.store, context.key("b"))).etag);
    assert.equal(rows[1]?.etag, (await mustFind(context.store, context.key("a"))).etag);
  }),

  caseFor(null, "answers a thousand keys", async (context) => {
    const names = Array.from({ length: MANY }, (_, index) => `many-${index}`);
    for (let from = 0; from < MANY; from += AT_ONCE) {
      const slice = names.slice(from, from + AT_ONCE);
      await Promise.all(slice.map((name) => context.store.set(write(context.key(name), json(name)), call())));
    }
    assert.deepEqual(await asked(context, names), names);
  }),
];

export const bulk: Chapter = { name: "bulk reads", cases };
