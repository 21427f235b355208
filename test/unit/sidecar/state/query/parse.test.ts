import assert from "node:assert/strict";
import { JsonFault } from "#kit/json-scanner.ts";
import { JsonNumber } from "#sidecar/state/query/number.ts";
import {
  FILTER_DEPTH_MAX,
  FILTERS_MAX,
  IN_VALUES_MAX,
  parseQuery,
  type Query,
  QueryFault,
  RESULTS_MAX,
  SORT_KEYS_MAX,
} from "#sidecar/state/query/parse.ts";

function parse(query: unknown): Query {
  return parseQuery(Buffer.from(typeof query === "string" ? query : JSON.stringify(query)));
}

function filterOf(filter: unknown): Query["filter"] {
  return parse({ filter }).filter;
}

/** A filter within so many groups. */
function nested(groups: number): unknown {
  const leaf = { EQ: { a: 1 } };
  return groups === 0 ? leaf : { AND: [nested(groups - 1), leaf] };
}

describe("query text", () => {
  it("is read with filter, sort and page", () => {
    const text =
      '{"filter":{"OR":[{"EQ":{"a.b":"x"}},{"IN":{"c":[9007199254740993,true,null]}}]},"sort":[{"key":"d"},{"key":"e.f","order":"DESC"}],"page":{"limit":3,"token":"t"}}';
    assert.deepEqual(parse(text), {
      filter: {
        word: "OR",
        filters: [
          { word: "EQ", path: "a.b", operands: ["x"] },
          { word: "IN", path: "c", operands: [new JsonNumber("9007199254740993"), true, null] },
        ],
      },
      sort: [
        { path: "d", descending: false },
        { path: "e.f", descending: true },
      ],
      limit: 3,
      token: "t",
    });
  });

  it("may leave out everything, in the ways that clients do", () => {
    const all = { filter: null, sort: [], limit: 0, token: "" };
    const texts = [
      "{}",
      '{"filter":{}}',
      '{"filter":null,"sort":null,"page":null}',
      '{"page":{"limit":null,"token":null}}',
      ' {"Filter":{},"SORT":[]} ',
    ];
    for (const text of texts) assert.deepEqual(parse(text), all, text);
  });

  it("takes each operator", () => {
    for (const word of ["EQ", "NEQ", "GT", "GTE", "LT", "LTE"])
      assert.equal(filterOf({ [word]: { a: 1 } })?.word, word);
    assert.equal(filterOf({ IN: { a: [1] } })?.word, "IN");
  });

  const faults: readonly (readonly [unknown, RegExp])[] = [
    [[], /^filter unit must be a map$/],
    ["x", /^filter unit must be a map$/],
    [{ AND: [1, 2] }, /^filter unit must be a map$/],
    [{ EQ: { a: 1 }, NEQ: { a: 1 } }, /^filter unit must have a single element$/],
    [{ AND: [{}, { EQ: { a: 1 } }] }, /^filter unit must have a single element$/],
    [{ eq: { a: 1 } }, /^unsupported filter "eq"$/],
    [{ LIKE: { a: 1 } }, /^unsupported filter "LIKE"$/],
    [{ EQ: [1] }, /^EQ filter must be a map$/],
    [{ EQ: {} }, /^EQ filter must contain a single key\/value pair$/],
    [{ LT: { a: 1, b: 2 } }, /^LT filter must contain a single key\/value pair$/],
    [{ IN: { a: 1 } }, /^IN filter value must be an array$/],
    [{ IN: { a: [] } }, /^IN filter value must contain at least one entry$/],
    [{ AND: {} }, /^AND filter must be an array$/],
    [{ OR: [{ EQ: { a: 1 } }] }, /^OR filter must contain at least two entries$/],
    [{ EQ: { a: [1] } }, /^EQ filter value: got array, want a string, a number, a boolean or null$/],
    [{ GT: { a: true } }, /^GT filter value: got boolean, want a number or a string$/],
    [{ GT: { a: null } }, /^GT filter value: got null, want a number or a string$/],
    [{ EQ: { ["a.".repeat(40)]: 1 } }, /want at most 32 names$/],
  ];
  for (const [filter, message] of faults) {
    it(`refuses the filter ${JSON.stringify(filter).slice(0, 60)}`, () => {
      assert.throws(() => filterOf(filter), { name: "QueryFault", message });
    });
  }

  const others: readonly (readonly [string, RegExp])[] = [
    ["[]", /^the query: got array, want an object$/],
    ['{"filters":{}}', /^the query: unknown member "filters", want filter, sort, page$/],
    ['{"sort":{}}', /^sort: got object, want an array$/],
    ['{"sort":["a"]}', /^sort\[0\]: got string, want an object$/],
    ['{"sort":[{"key":"a"},{"order":"ASC"}]}', /^sort\[1\]\.key: got nothing, want the path of a member$/],
    ['{"sort":[{"key":"a","order":"asc"}]}', /^sort\[0\]\.order: got "asc", want "ASC" or "DESC"$/],
    ['{"page":{"limit":-1}}', /^page\.limit: got -1, want a whole number from 0 to 10000$/],
    ['{"page":{"limit":1.5}}', /^page\.limit: got 1\.5/],
    ['{"page":{"limit":"5"}}', /^page\.limit: got string/],
    [`{"page":{"limit":${RESULTS_MAX + 1}}}`, /^page\.limit: got 10001/],
    ['{"page":{"token":5}}', /^page\.token: got number, want a string$/],
    ['{"page":{"size":5}}', /^page: unknown member "size", want limit, token$/],
    ["{} {}", /^something stands behind the query/],
  ];
  for (const [text, message] of others) {
    it(`refuses ${text}`, () => {
      assert.throws(() => parse(text), { name: "QueryFault", message });
    });
  }

  it("is refused where it is no JSON or no UTF-8", () => {
    for (const text of ["", "{", '{"filter":}', '{"filter":{"EQ":{"a":01}}}'])
      assert.throws(() => parse(text), JsonFault, text);
    assert.throws(() => parseQuery(Buffer.from([0x7b, 0xff, 0x7d])), /not valid UTF-8/);
  });

  it("is held to its limits, and taken up to them", () => {
    parse({ filter: nested(FILTER_DEPTH_MAX - 1) });
    assert.throws(() => parse({ filter: nested(FILTER_DEPTH_MAX) }), /nested deeper than 32/);
    const leaves = (count: number): unknown => ({ filter: { OR: new Array(count).fill({ EQ: { a: 1 } }) } });
    parse(leaves(FILTERS_MAX - 1));
    assert.throws(() => parse(leaves(FILTERS_MAX)), /more than 256 operators/);
    const values = (count: number): unknown => ({ filter: { IN: { a: new Array(count).fill(1) } } });
    parse(values(IN_VALUES_MAX));
    assert.throws(() => parse(values(IN_VALUES_MAX + 1)), /more than 1000 values/);
    const keys = (count: number): unknown => ({ sort: new Array(count).fill({ key: "a" }) });
    parse(keys(SORT_KEYS_MAX));
    assert.throws(() => parse(keys(SORT_KEYS_MAX + 1)), QueryFault);
  });
});
