// What of a filter a store is told: less than the filter where more could leave out a row that it takes.
import assert from "node:assert/strict";
import { narrowingOf } from "#sidecar/state/query/narrowing.ts";
import { parseQuery } from "#sidecar/state/query/parse.ts";
import type { Narrowing } from "#sidecar/stores/narrowing.ts";

function narrowed(filter: unknown): Narrowing | null {
  const read = parseQuery(Buffer.from(typeof filter === "string" ? filter : JSON.stringify({ filter })));
  assert.ok(read.filter !== null);
  return narrowingOf(read.filter);
}

const EQUAL_A = { kind: "equal", path: ["a"], strings: ["x"], numbers: [], booleans: [] };
const ABOVE_1 = { kind: "ordered", path: ["b", "c"], word: "GT", number: "1" };

describe("the narrowing of a filter", () => {
  it("says which operands a path may be equal to, each kind by itself", () => {
    assert.deepEqual(narrowed({ EQ: { a: "x" } }), EQUAL_A);
    assert.deepEqual(narrowed('{"filter": {"IN": {"a.b": ["x", 1.50, true, "", false]}}}'), {
      kind: "equal",
      path: ["a", "b"],
      strings: ["x", ""],
      numbers: ["1.50"],
      booleans: [true, false],
    });
  });

  it("says the order of numbers, and of nothing else", () => {
    for (const word of ["GT", "GTE", "LT", "LTE"])
      assert.deepEqual(narrowed({ [word]: { "b.c": 1 } }), { ...ABOVE_1, word });
    assert.equal(narrowed({ GT: { a: "x" } }), null);
  });

  it("says all that can be said of AND, and nothing of OR unless all can be said", () => {
    const [one, other, unsaid] = [{ EQ: { a: "x" } }, { GT: { "b.c": 1 } }, { NEQ: { a: "y" } }];
    assert.deepEqual(narrowed({ AND: [one, unsaid, other] }), { kind: "all", parts: [EQUAL_A, ABOVE_1] });
    assert.deepEqual(narrowed({ OR: [one, other] }), { kind: "any", parts: [EQUAL_A, ABOVE_1] });
    assert.equal(narrowed({ OR: [one, unsaid] }), null);
    assert.equal(narrowed({ AND: [unsaid, unsaid] }), null);
  });

  const UNSAID: Readonly<Record<string, string>> = {
    "a null among the operands": '{"IN": {"a": ["x", null]}}',
    "what is not equal": '{"NEQ": {"a": "x"}}',
    "a string with a NUL": '{"EQ": {"a": "x\\u0000"}}',
    "a string with half a surrogate pair": '{"EQ": {"a": "\\ud800"}}',
    "a name with half a surrogate pair": '{"EQ": {"\\ud800": "x"}}',
    "a name with a NUL": '{"EQ": {"a\\u0000": "x"}}',
    "a string that is longer than indexes keep": `{"EQ": {"a": "${"x".repeat(257)}"}}`,
    "a number that is long": `{"EQ": {"a": 1${"0".repeat(30)}}}`,
    "a number with an exponent": '{"EQ": {"a": 1e3}}',
    "the order of a number with an exponent": '{"GT": {"a": 1E3}}',
  };
  for (const [what, filter] of Object.entries(UNSAID))
    it(`says nothing of ${what}`, () => {
      assert.equal(narrowed(`{"filter": ${filter}}`), null);
    });
});
