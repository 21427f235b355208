import assert from "node:assert/strict";
import { parseTableName, quoteName, quoteTable, TABLE_NAME, TABLE_PREFIX } from "#sidecar/stores/postgresql/names.ts";

describe("a table's name", () => {
  const taken: [text: string, quoted: string][] = [
    ["state", '"state"'],
    ["State", '"state"'],
    ["public.state", '"public"."state"'],
    ["Public.My_State$1", '"public"."my_state$1"'],
    ['"My State"', '"My State"'],
    ['"a""b"."c.d"', '"a""b"."c.d"'],
    ["order", '"order"'],
  ];
  for (const [text, quoted] of taken) {
    it(`takes ${text} as PostgreSQL would`, () => {
      assert.match(text, TABLE_NAME);
      const parsed = parseTableName(text);
      assert.ok(parsed !== null);
      assert.equal(quoteTable(parsed), quoted);
    });
  }

  for (const text of [
    "",
    "1a",
    "a b",
    "a;b",
    "a'b",
    'a"b',
    '"a',
    '"a"b"',
    "a.b.c",
    "a.",
    ".a",
    "a--",
    "é",
    "x".repeat(64),
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.doesNotMatch(text, TABLE_NAME);
      assert.equal(parseTableName(text), null);
    });
  }

  for (const text of ["", "x_", "public.", "public.x_", '"My schema".', "x".repeat(58)]) {
    it(`takes ${JSON.stringify(text)} as what may stand before "state"`, () => {
      assert.match(text, TABLE_PREFIX);
      assert.match(`${text}state`, TABLE_NAME);
    });
  }

  for (const text of ["1", "a b", "a.b.", "x; --", '"x"', "x".repeat(59)]) {
    it(`refuses ${JSON.stringify(text)} as what may stand before "state"`, () =>
      assert.doesNotMatch(text, TABLE_PREFIX));
  }

  it("is cut to the length that PostgreSQL keeps", () => {
    assert.equal(quoteName("x".repeat(70)), `"${"x".repeat(63)}"`);
  });
});
