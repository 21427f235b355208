// Queries whose filter Cosmos DB looks for by itself: the condition that it is asked. What the server makes of it is the
// conformance suite's business.
import assert from "node:assert/strict";
import { narrowingOf } from "#sidecar/state/query/narrowing.ts";
import { parseQuery } from "#sidecar/state/query/parse.ts";
import { type Condition, conditionOf } from "#sidecar/stores/cosmosdb/narrowing.ts";
import { call, onOneEndpoint } from "./fixture.ts";

const RANGE = { scope: "app||", start: "app||" };

function condition(filter: unknown): Condition | null {
  const read = parseQuery(Buffer.from(JSON.stringify({ filter })));
  return read.filter === null ? null : conditionOf(narrowingOf(read.filter));
}

/** Where the condition lets every text through. */
const orText = (words: string): string => `(IS_STRING(c["value"]) OR ${words})`;

describe("a query that Cosmos DB narrows", () => {
  const { endpoint, open } = onOneEndpoint();

  it("has names of members in its text, and operands as parameters", () => {
    const equal = condition({ IN: { "a.b-1": ["x", 77, true] } });
    assert.deepEqual(equal, {
      text: orText('c["value"]["a"]["b-1"] IN (@where0, @where1, @where2)'),
      parameters: [
        { name: "@where0", value: "x" },
        { name: "@where1", value: 77 },
        { name: "@where2", value: true },
      ],
    });
    const both = condition({ AND: [{ GT: { n: 1 } }, { OR: [{ EQ: { a: "x" } }, { LTE: { n: -5 } }] }] });
    const [above, below] = [">", "<="].map((sign, index) => {
      const place = 'c["value"]["n"]';
      return `(IS_NUMBER(${place}) AND ${place} ${sign} @where${index * 2})`;
    });
    assert.equal(both?.text, orText(`(${above} AND (c["value"]["a"] IN (@where1) OR ${below}))`));
    assert.deepEqual(both.parameters, [
      { name: "@where0", value: 1 },
      { name: "@where1", value: "x" },
      { name: "@where2", value: -5 },
    ]);
  });

  it("has no name in its text that could be more than a name", () => {
    for (const name of ['a"] OR true OR c["a', "a b", "\\", "", "é", "x".repeat(65)])
      assert.equal(condition({ EQ: { [name]: 1 } }), null, name);
  });

  it("is not narrowed by numbers that a double cannot tell from others, nor by too many operands", () => {
    assert.equal(condition({ EQ: { n: 0.1 } }), null);
    assert.equal(condition({ GT: { n: 2 ** 53 } }), null);
    const many = (count: number) => Array.from({ length: count }, (_, index) => index);
    assert.equal(condition({ IN: { n: many(200) } })?.parameters.length, 200);
    assert.equal(condition({ IN: { n: many(201) } }), null);
  });

  it("is asked with its values, page by page, and not where only keys are wanted", async () => {
    const store = await open();
    const headers = { "x-ms-continuation": "more" };
    endpoint().reply = (_, count) => ({ status: 200, headers: count === 1 ? headers : {}, body: { Documents: [] } });
    const read = parseQuery(Buffer.from('{"filter":{"EQ":{"n":77}}}'));
    const where = read.filter === null ? null : narrowingOf(read.filter);
    for (const values of [true, false])
      await store.list?.({ range: RANGE, after: null, limit: 10, values, where }, call);
    const asked = endpoint()
      .taken()
      .map(({ body }) => JSON.parse(body));
    const words = ` AND ${orText('c["value"]["n"] IN (@where0)')}`;
    assert.deepEqual(
      asked.map(({ query }) => String(query).endsWith(words)),
      [true, true, false],
    );
    assert.deepEqual(asked[0]?.parameters.at(-1), { name: "@where0", value: 77 });
    assert.equal(JSON.stringify(asked[2]).includes("@where"), false);
  });
});
