import assert from "node:assert/strict";
import fc from "fast-check";
import { compileFilter } from "#sidecar/state/query/filter.ts";
import { parseQuery } from "#sidecar/state/query/parse.ts";
import { PathSet } from "#sidecar/state/query/paths.ts";
import * as plain from "./plain.ts";

/** Whether a filter takes a value, both as JSON texts. */
function takes(filter: string, value: string | Buffer, loose = false): boolean {
  const query = parseQuery(Buffer.from(`{"filter":${filter}}`));
  assert.ok(query.filter !== null);
  const paths = new PathSet();
  const matches = compileFilter(query.filter, { paths, loose });
  const found = paths.read(Buffer.from(value));
  return found !== null && matches(found);
}

describe("query filter", () => {
  it("takes what a plain filter over decoded JSON takes", () => {
    fc.assert(
      fc.property(plain.filter, plain.json, (filter, value) => {
        assert.equal(takes(JSON.stringify(filter), JSON.stringify(value)), plain.plainMatches(filter, value));
      }),
      { numRuns: 2000 },
    );
  });

  const cases: readonly (readonly [string, string, boolean])[] = [
    // Numbers by their value and not by their double or their text.
    ['{"EQ":{"n":9007199254740993}}', '{"n":9007199254740992}', false],
    ['{"EQ":{"n":9007199254740993}}', '{"n":9007199254740993.0}', true],
    ['{"LT":{"n":10}}', '{"n":9}', true],
    ['{"EQ":{"n":1000000}}', '{"n":1e6}', true],
    // Types.
    ['{"EQ":{"n":1}}', '{"n":"1"}', false],
    ['{"NEQ":{"n":1}}', '{"n":"1"}', true],
    ['{"EQ":{"n":"true"}}', '{"n":true}', false],
    ['{"GT":{"n":1}}', '{"n":"2"}', false],
    ['{"LTE":{"n":"x"}}', '{"n":1}', false],
    ['{"EQ":{"n":"\\u0061"}}', '{"n":"a"}', true],
    // Null, and nothing.
    ['{"EQ":{"n":null}}', '{"n":null}', true],
    ['{"EQ":{"n":null}}', "{}", false],
    ['{"NEQ":{"n":1}}', "{}", false],
    ['{"NEQ":{"n":1}}', '{"n":null}', false],
    ['{"NEQ":{"n":null}}', '{"n":0}', true],
    ['{"NEQ":{"n":1}}', '{"n":[1]}', true],
    // Strings by code points: U+10000 comes behind U+FF00.
    ['{"GT":{"s":"\\uff00"}}', '{"s":"\\ud800\\udc00"}', true],
    // Paths: arrays are not entered, a dot always parts two names, the last of two members counts.
    ['{"EQ":{"a.0":1}}', '{"a":[1]}', false],
    ['{"EQ":{"a.0":1}}', '{"a":{"0":1}}', true],
    ['{"EQ":{"a.b":1}}', '{"a.b":1}', false],
    ['{"EQ":{"a.b":1}}', '{"a":{"b":1},"a":{}}', false],
    ['{"EQ":{"a.b":1}}', '{"a":3,"a":{"b":2,"b":1}}', true],
    ['{"EQ":{"":1}}', '{"":1}', true],
    ['{"EQ":{"a..b":1}}', '{"a":{"":{"b":1}}}', true],
    ['{"EQ":{"__proto__.x":1}}', '{"__proto__":{"x":1}}', true],
    ['{"NEQ":{"toString":1}}', "{}", false],
    ['{"EQ":{"a":1}}', '"a"', false],
    // A path and one that goes on from it.
    ['{"AND":[{"NEQ":{"a":1}},{"EQ":{"a.b":2}}]}', '{"a":{"b":2}}', true],
  ];
  for (const [filter, value, want] of cases) {
    it(`${filter} ${want ? "takes" : "leaves"} ${value}`, () => assert.equal(takes(filter, value), want));
  }

  it("never takes what is no JSON", () => {
    for (const value of ["", "{", '{"a":1} x', '{"a":1,}', "plain", Buffer.from('{"a":1,"b":"\xff"}', "latin1")]) {
      assert.equal(takes('{"NEQ":{"a":2}}', value), false, String(value));
    }
    assert.equal(takes('{"NEQ":{"a":2}}', '{"a":1,"b":"x"}'), true);
  });

  it("takes a value however deep it is beside the path", () => {
    assert.equal(takes('{"EQ":{"a":1}}', `{"deep":${"[".repeat(9000)}${"]".repeat(9000)},"a":1}`), true);
  });

  // Taking the number apart at every comparison needs most of a minute, and the test's time limit ends it.
  it("compares a number of megabytes with a thousand others, however often", () => {
    const operands = Array.from({ length: 1000 }, (_, index) => index + 0.5);
    const orders = Array.from({ length: 254 }, (_, index) => ({ LT: { n: -index } }));
    const filter = JSON.stringify({ OR: [...orders, { IN: { n: operands } }] });
    const zeros = "0".repeat(3_900_000);
    for (let row = 0; row < 5; row++) {
      for (const loose of [false, true]) {
        assert.equal(takes(filter, `{"n":0.${zeros}1}`, loose), false);
        assert.equal(takes(filter, `{"n":1.5${zeros}}`, loose), true);
        assert.equal(takes(filter, `{"n":"1${zeros}"}`, loose), false);
      }
    }
  });

  it("takes strings, numbers, booleans and null of one IN", () => {
    const filter = '{"IN":{"n":["a","10",1,2.50,true,null]}}';
    for (const value of ['"a"', '"10"', "1.0", "25e-1", "true", "null"])
      assert.ok(takes(filter, `{"n":${value}}`), value);
    for (const value of ['"1"', "10", "2", "false", '"true"', '"null"', "[]", "{}"])
      assert.ok(!takes(filter, `{"n":${value}}`), value);
    for (const value of ['"1"', "10.0", '"true"']) assert.ok(takes(filter, `{"n":${value}}`, true), value);
    for (const value of ['"null"', '"false"', "2"]) assert.ok(!takes(filter, `{"n":${value}}`, true), value);
  });

  describe("on a store whose queries compare texts", () => {
    const loose: readonly (readonly [string, string, boolean])[] = [
      ['{"EQ":{"n":"10"}}', '{"n":10}', true],
      ['{"EQ":{"n":10}}', '{"n":"10"}', true],
      ['{"EQ":{"n":"true"}}', '{"n":true}', true],
      ['{"IN":{"n":[false]}}', '{"n":"false"}', true],
      ['{"NEQ":{"n":"10"}}', '{"n":10}', false],
      ['{"EQ":{"n":"1e1"}}', '{"n":10}', true],
      ['{"EQ":{"n":"ten"}}', '{"n":10}', false],
      ['{"EQ":{"n":"1"}}', '{"n":true}', false],
      ['{"EQ":{"n":"null"}}', '{"n":null}', false],
      ['{"GT":{"n":9}}', '{"n":"10"}', false],
    ];
    for (const [filter, value, want] of loose) {
      it(`${filter} ${want ? "takes" : "leaves"} ${value}`, () => assert.equal(takes(filter, value, true), want));
    }
  });
});
