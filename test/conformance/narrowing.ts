// Conformance: walks that are told what a query asks of values (`ListRequest.where`). Rows may be left out, and none that the
// query takes. Held against the core's own filter over a walk that is told nothing.
import assert from "node:assert/strict";
import { compileFilter } from "#sidecar/state/query/filter.ts";
import { narrowingOf } from "#sidecar/state/query/narrowing.ts";
import { type Filter, parseQuery } from "#sidecar/state/query/parse.ts";
import { PathSet } from "#sidecar/state/query/paths.ts";
import { type KeyRange, type ListedRow, StoreError } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import { call, json, utf8, write } from "./requests.ts";
import { all, canList } from "./subject.ts";
import { isDriver } from "./surface.ts";
import { numbered, rangeOf, walk } from "./walking.ts";

const NUMBERS = ["0", "1", "-1", "77", "77.0", "7.7e1", "77.5", "-77", "0.1", "9007199254740991", "9007199254740992"];
const STRINGS = [
  "",
  "a",
  "A",
  "\u00e9",
  "e\u0301",
  "a'b",
  'a"b',
  "a\\b",
  "$a",
  "77",
  "77.0",
  "true",
  "null",
  "\u{10000}",
];
const LITERALS = ["true", "false", "null"];
const COMPOUNDS = ["{}", "[]", "[77]", '["a"]', '{"n":77}', '[{"n":77}]', '{"0":77}'];
const SCALARS = [...NUMBERS, ...STRINGS.map((text) => JSON.stringify(text)), ...LITERALS];

/** Paths of queries: names as they come in JSON, and names that servers have a use of their own for. */
const PATHS = [
  "n",
  "n.n",
  "n.0",
  "0",
  "a b",
  "a-b",
  "a'b",
  'a"]b',
  "$n",
  "\u00e9",
  "n.$n",
  "_id",
  "",
  "n.",
  "value",
  "value.n",
];

/** JSON texts: each scalar under some names, what is no scalar, and members twice. */
const TEXTS: readonly string[] = [
  ...SCALARS.flatMap((text) => [`{"n":${text}}`, `{"n":{"n":${text}}}`]),
  ...PATHS.filter((path) => !path.includes(".")).map((name) => `{${JSON.stringify(name)}:77}`),
  ...COMPOUNDS.flatMap((text) => [text, `{"n":${text}}`]),
  ...SCALARS,
  '{"n":1,"n":77}',
  '{"n":77,"n":"a"}',
  '{"n":{"$n":77}}',
  '{"n":{"":77}}',
  '{"n.n":77}',
  '{"value":{"n":77}}',
  '{"n":9007199254740993}',
  '{"n":77.00000000000000000001}',
];

const COMPARISONS: readonly object[] = [
  ...PATHS.flatMap((path) => [{ EQ: { [path]: 77 } }, { IN: { [path]: [77, "a"] } }, { GTE: { [path]: 77 } }]),
  ...STRINGS.map((text) => ({ EQ: { n: text } })),
  ...[true, false, null].flatMap((operand) => [{ EQ: { n: operand } }, { NEQ: { n: operand } }]),
  ...[0, -77, 77.5, 0.1, 9007199254740991].flatMap((operand) =>
    ["EQ", "NEQ", "GT", "GTE", "LT", "LTE"].map((word) => ({ [word]: { n: operand } })),
  ),
  { GT: { n: "a" } },
  { IN: { n: [1, "a", true] } },
  { IN: { n: [1, null] } },
  { AND: [{ EQ: { n: 77 } }, { NEQ: { n: 1 } }] },
  { AND: [{ GT: { n: 0 } }, { LT: { n: 78 } }] },
  { OR: [{ EQ: { n: 77 } }, { EQ: { "n.n": 77 } }] },
  { OR: [{ EQ: { n: 77 } }, { NEQ: { n: 1 } }] },
  { OR: [{ EQ: { n: "a" } }, { EQ: { n: 77.5 } }] },
  { AND: [{ OR: [{ EQ: { n: "a" } }, { GT: { n: 0.5 } }] }, { EQ: { n: 77.5 } }] },
  { OR: [{ AND: [{ EQ: { n: "a" } }, { EQ: { n: "A" } }] }, { IN: { n: ["\u00e9", 77] } }] },
];

/** With a number that no literal of this language keeps. */
const QUERIES: readonly string[] = [
  ...COMPARISONS.map((filter) => JSON.stringify({ filter })),
  ...["9007199254740992", "9007199254740993", "77.00000000000000000001", "7.7e1", "77.0", "-0"].flatMap((number) =>
    ["EQ", "GT", "GTE", "LT", "LTE"].map((word) => `{"filter":{"${word}":{"n":${number}}}}`),
  ),
];

/** Writes what the store takes, as JSON and as raw bytes. */
async function fill({ store, key }: Context): Promise<void> {
  const raw = [...TEXTS, "no JSON", ""];
  const writes = [
    ...TEXTS.map((text, index) => write(key(`json${index}`), utf8(text))),
    ...raw.map((text, index) => write(key(`raw${index}`), utf8(text), { isJson: false })),
  ];
  for (const each of writes)
    await store.set(each, call()).catch((error: unknown) => {
      if (!(error instanceof StoreError && error.code === "refused")) throw error;
    });
}

function filterOf(query: string): Filter {
  const { filter } = parseQuery(Buffer.from(query));
  assert.ok(filter !== null);
  return filter;
}

/** The keys of the rows that the core would take. */
function taken({ store }: Context, query: string, rows: readonly ListedRow[]): readonly string[] {
  const paths = new PathSet();
  const matches = compileFilter(filterOf(query), { paths, loose: store.traits.queryStrings === "loose" });
  return rows.flatMap(({ key, found }) => {
    const values = found === null ? null : paths.read(found.bytes);
    return values !== null && matches(values) ? [key] : [];
  });
}

/** No value has these; each kind of condition is there. */
const IMPOSSIBLE: readonly string[] = [
  { EQ: { "no such member": "a" } },
  { EQ: { "no such member": 77 } },
  { EQ: { "no such member": true } },
  { GT: { "no such member": 77 } },
  { AND: [{ EQ: { "no such member": "a" } }, { EQ: { n: 77 } }] },
  { OR: [{ EQ: { "no such member": "a" } }, { EQ: { "no such member": 77 } }] },
].map((filter) => JSON.stringify({ filter }));

/** Stores that cannot look into values tell all rows whatever is asked: for them that is the whole proof. */
async function tellsAll({ store }: Context, range: KeyRange, rows: readonly ListedRow[]): Promise<boolean> {
  for (const query of IMPOSSIBLE) {
    const told = await walk(store, range, { values: true, limit: 1000, where: narrowingOf(filterOf(query)) });
    if (told.length < rows.length) return false;
    assert.deepEqual(told.map(({ key }) => key).toSorted(), rows.map(({ key }) => key).toSorted());
  }
  return true;
}

const cases: readonly Case[] = [
  caseFor(all(canList, isDriver), "leaves out no row that a query takes", async (context) => {
    await fill(context);
    const range = rangeOf(context);
    const rows = await walk(context.store, range, { values: true });
    assert.ok(rows.length > 100, `only ${rows.length} rows were taken`);
    if (await tellsAll(context, range, rows)) return;
    for (const query of QUERIES) {
      const where = narrowingOf(filterOf(query));
      const told = await walk(context.store, range, { values: true, limit: 1000, where });
      assert.deepEqual(taken(context, query, told).toSorted(), taken(context, query, rows).toSorted(), query);
    }
  }),

  caseFor(all(canList, isDriver), "goes on behind rows that a query does not take, page by page", async (context) => {
    const { store, key } = context;
    const names = numbered(60);
    await Promise.all(
      names.map((name, index) => store.set(write(key(name), json({ n: index % 20 === 7 ? 77 : index })), call())),
    );
    const query = '{"filter":{"EQ":{"n":77}}}';
    const want = names.filter((_, index) => index % 20 === 7).map((name) => key(name));
    for (const limit of [1, 2, 3, 1000]) {
      const where = narrowingOf(filterOf(query));
      const told = await walk(store, rangeOf(context), { values: true, limit, where });
      assert.deepEqual([...new Set(taken(context, query, told))].toSorted(), want, `pages of ${limit}`);
    }
  }),
];

export const narrowing: Chapter = { name: "walks for queries", cases };
