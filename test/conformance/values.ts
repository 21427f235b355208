// Conformance: what was written comes back, byte for byte or JSON-equal as the store declares (dapr-state-stores.md 18.2).
import assert from "node:assert/strict";
import type { Write } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import {
  assertBytes,
  expectMissing,
  expectUntouched,
  expectValue,
  mustFind,
  outcomeOf,
  rejectsWith,
} from "./checks.ts";
import { call, json, removal, utf8, write } from "./requests.ts";
import { all, hasEtags, hasValueLimit, type Subject } from "./subject.ts";
import { keepsSpaceAround } from "./surface.ts";

const MIB = 1024 * 1024;

/** Dapr's own scenarios, and the shapes next to them. */
const SCENARIOS: Readonly<Record<string, Uint8Array>> = {
  "a whole number": json(123),
  "a boolean": json(true),
  null: json(null),
  "a string": json("hello world"),
  "an empty string": json(""),
  "a string that holds JSON": json('{"a":"b"}'),
  "a stopwatch emoji": json("\u23f1\ufe0f"),
  "a struct": json({ message: "test" }),
  "a nested struct": json({ product: { value: 15 }, status: "ACTIVE", message: "message" }),
  "an empty object": json({}),
  "an empty array": json([]),
};

/** JSON texts that a parser and printer would change without changing what a reader of the text means. */
const SPELLINGS: Readonly<Record<string, string>> = {
  "members in their order": '{"b":1,"a":2,"10":3,"9":4,"":5}',
  "white space": '{\n\t"a" :  1 ,\r\n "b":[ 1,2 ] }',
  "slashes, escaped and not": '"\\/ / <script> & \\u003c"',
  "escapes of plain letters": '"\\u0061\\u00e9 \u00e9 \u2028"',
};

/** JSON texts that a layout of parsed values loses or cannot hold: kept whole, or refused. */
const FRAGILE: Readonly<Record<string, string>> = {
  "a whole number beyond 2^53": '{"id":9007199254740993,"max":18446744073709551615}',
  "many decimals": "3.14159265358979323846264338327950288",
  "a number beyond doubles": "1e400",
  "a number with its zeros": '{"price":1.50,"zero":-0,"power":1E+2}',
  "members that occur twice": '{"a":1,"a":2}',
  "an escaped NUL": '"a\\u0000b"',
  "a lone surrogate": '"\\ud800"',
  "a thousand levels": "[".repeat(1000) + "]".repeat(1000),
};

/** Bytes that are no text, and bytes that only look like the layouts' own forms. */
const RAW: Readonly<Record<string, Uint8Array>> = {
  "a byte": Uint8Array.of(1),
  "no byte": new Uint8Array(0),
  "all 256 bytes": Uint8Array.from({ length: 256 }, (_, index) => index),
  "broken UTF-8": Uint8Array.of(0xc3, 0x28, 0xff, 0xfe, 0xed, 0xa0, 0x80),
  "a protobuf message": Uint8Array.of(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
  "bytes that read as JSON": utf8('{ "b": 1, "a": 1.0 }'),
  "bytes that read as base64": utf8("aGVsbG8="),
  "bytes that read as a JSON string of base64": utf8('"aGVsbG8="'),
  "a byte order mark": Uint8Array.of(0xef, 0xbb, 0xbf, 0x31),
};

async function comesBack({ store, key }: Context, bytes: Uint8Array, options: Partial<Write>): Promise<void> {
  // A copy: a store that spoils its caller's buffer must not spoil the table for the next one.
  await store.set(write(key("value"), bytes.slice(), options), call());
  await expectValue(store, key("value"), bytes);
}

const keepsBytes = (subject: Subject): boolean => subject.declares.traits.values === "exact-bytes";
const parsesJson = (subject: Subject): boolean => subject.declares.traits.values === "json-equal";
const holdsMebibyte = ({ declares }: Subject): boolean => (declares.limits.valueBytesMax ?? MIB) >= MIB;

/** For the layouts that parse: equal as JSON. A text that cannot come back equal has to be refused instead. */
async function comesBackEqual({ store, key }: Context, text: string, mayRefuse: boolean): Promise<void> {
  const refusal = await outcomeOf(store.set(write(key("value"), utf8(text)), call()));
  if (refusal === null) {
    const { bytes } = await mustFind(store, key("value"));
    assert.deepEqual(JSON.parse(Buffer.from(bytes).toString()), JSON.parse(text));
    return;
  }
  assert.ok(mayRefuse, `refused: ${refusal.message}`);
  assert.equal(refusal.code, "refused");
  await expectMissing(store, key("value"));
}

const table: readonly Case[] = [
  ...Object.entries(SCENARIOS).flatMap(([what, bytes]) => [
    caseFor(keepsBytes, `gives back ${what}`, (context) => comesBack(context, bytes, {})),
    caseFor(parsesJson, `gives back, as JSON, ${what}`, (context) =>
      comesBackEqual(context, Buffer.from(bytes).toString(), false),
    ),
  ]),
  ...Object.entries({ ...SPELLINGS, ...FRAGILE }).flatMap(([what, text]) => [
    caseFor(keepsBytes, `keeps ${what} byte for byte`, (context) => comesBack(context, utf8(text), {})),
    caseFor(parsesJson, `keeps or refuses ${what}`, (context) => comesBackEqual(context, text, what in FRAGILE)),
  ]),
  ...Object.entries(RAW).map(([what, bytes]) =>
    caseFor(null, `gives back raw ${what}`, (context) => comesBack(context, bytes, { isJson: false })),
  ),
];

const cases: readonly Case[] = [
  ...table,

  caseFor(all(keepsBytes, keepsSpaceAround), "keeps white space around a value byte for byte", (context) =>
    comesBack(context, utf8(' \n{"a":1}\t '), {}),
  ),

  caseFor(holdsMebibyte, "gives back a mebibyte of JSON", (context) =>
    comesBack(context, json("m".repeat(MIB - 2)), {}),
  ),

  caseFor(holdsMebibyte, "gives back a mebibyte of raw bytes", (context) => {
    const bytes = Uint8Array.from({ length: MIB }, (_, index) => (index * 31) % 251);
    return comesBack(context, bytes, { isJson: false });
  }),

  caseFor(null, "leaves nothing of a longer value that was there before", async ({ store, key }) => {
    await store.set(write(key("value"), json("long ".repeat(1000))), call());
    await store.set(write(key("value"), json(1)), call());
    await expectValue(store, key("value"), json(1));
  }),

  caseFor(null, "replaces raw bytes by JSON and JSON by raw bytes", async ({ store, key }) => {
    const raw = Uint8Array.of(0xff, 0);
    await store.set(write(key("value"), raw, { isJson: false }), call());
    await store.set(write(key("value"), json("text")), call());
    await expectValue(store, key("value"), json("text"));
    await store.set(write(key("value"), raw, { isJson: false }), call());
    await expectValue(store, key("value"), raw);
  }),

  caseFor(null, "copies the bytes: a buffer that changes after the write changes nothing", async ({ store, key }) => {
    const bytes = json("before");
    await store.set(write(key("value"), bytes), call());
    bytes.fill(0x20);
    await expectValue(store, key("value"), json("before"));
  }),

  caseFor(null, "leaves the caller's buffer as it was, and usable", async ({ store, key }) => {
    const bytes = json("mine");
    await store.set(write(key("value"), bytes), call());
    assertBytes(bytes, json("mine"));
  }),

  caseFor(null, "stores the window and not the buffer behind it", async ({ store, key }) => {
    const body = utf8('{"value":"own","other":"secret"}');
    await store.set(write(key("value"), body.subarray(9, 14)), call());
    await expectValue(store, key("value"), json("own"));
  }),

  caseFor(null, "answers nothing for a key that was never written", ({ store, key }) =>
    expectMissing(store, key("never")),
  ),

  caseFor(null, "answers nothing after a delete, and deletes what is not there", async ({ store, key }) => {
    await store.set(write(key("value"), json("to be deleted")), call());
    await store.remove(removal(key("value")), call());
    await expectMissing(store, key("value"));
    await store.remove(removal(key("value")), call());
    await store.remove(removal(key("never")), call());
  }),

  caseFor(null, "takes strong writes, deletes and reads", async ({ store, key }) => {
    await store.set(write(key("value"), json("strong"), { strong: true }), call());
    const found = await store.get(key("value"), { strong: true, metadata: {} }, call());
    assert.ok(found !== null);
    assertBytes(found.bytes, json("strong"));
    await store.remove(removal(key("value"), { strong: true }), call());
    await expectMissing(store, key("value"));
  }),

  caseFor(null, "takes metadata that it does not know", async ({ store, key }) => {
    const metadata = { partitionKey: "myPartition", contentType: "application/json", nobody: "knows" };
    await store.set(write(key("value"), json({ a: 1 }), { metadata }), call());
    const found = await store.get(key("value"), { strong: false, metadata }, call());
    assert.deepEqual(JSON.parse(Buffer.from(found?.bytes ?? []).toString()), { a: 1 });
    await store.remove(removal(key("value"), { metadata }), call());
  }),

  caseFor(hasValueLimit, "keeps a value of the largest size and refuses one byte more", async (context) => {
    const { store, key } = context;
    const largest = store.limits.valueBytesMax ?? 0;
    await comesBack(context, json("v".repeat(largest - 2)), {});
    const before = await mustFind(store, key("value"));
    await rejectsWith(store.set(write(key("value"), json("v".repeat(largest - 1))), call()), ["refused"]);
    await expectUntouched(store, key("value"), before);
  }),

  caseFor(hasEtags, "keeps values out of its errors and its log", async ({ store, key, logged }) => {
    const secret = "hunter2-never-shown";
    await store.set(write(key("value"), json(secret)), call());
    const error = await outcomeOf(store.set(write(key("value"), json(`${secret}!`), { etag: "0-wrong" }), call()));
    assert.ok(error !== null, "a wrong etag was taken");
    assert.equal(
      `${error.stack} ${error.message} ${String(error.cause)}`.includes(secret),
      false,
      "value in the error",
    );
    assert.equal(logged().includes(secret), false, "value in the log");
  }),
];

export const values: Chapter = { name: "values", cases };
