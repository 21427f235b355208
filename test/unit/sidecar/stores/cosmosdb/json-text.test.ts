// Which JSON comes back as it went in, and what is found in the rest.
import assert from "node:assert/strict";
import fc from "fast-check";
import { keep, LEVELS_MAX } from "#sidecar/stores/cosmosdb/json-text.ts";

const kept = (text: string, lossy = false): string => {
  const result = keep(text, { lossy });
  return "json" in result ? result.json : `no: ${result.problem}`;
};

describe("JSON in Cosmos DB", () => {
  for (const text of [
    '{"b":1,"a":[true,null,"é \\n \\" 😀"]}',
    "0",
    "-1.5",
    "1e+21",
    '""',
    "[]",
    "9007199254740991",
    '"1e400"',
  ])
    it(`keeps ${text} as it is`, () => assert.equal(kept(text), text));

  for (const [text, json] of [
    ['{ "a" : 1 }', '{"a":1}'],
    ["1.50", "1.5"],
    ["1E+2", "100"],
    ["100000000000000000000", "100000000000000000000"],
    ["1e20", "100000000000000000000"],
    ["0.0", "0"],
    ["0e5", "0"],
    ["123456789012345680000", "123456789012345680000"],
    ['"\\u00e9\\/\\ud83d\\ude00"', '"é/😀"'],
    ['{"a":1,"a":2}', '{"a":2}'],
  ] as const)
    it(`keeps what ${text} means`, () => assert.equal(kept(text), json));

  for (const text of [
    "9007199254740993",
    "3.14159265358979323846",
    "-0",
    "[1,-0.0]",
    '{"a":18446744073709551615}',
    "1e-400",
  ])
    it(`does not keep a number of ${text}, unless what is lost may be`, () => {
      assert.equal(kept(text), "no: a number that is no double");
      assert.doesNotMatch(kept(text, true), /^no/);
    });

  it("never keeps a number beyond all doubles, which would become null", () => {
    for (const text of ["1e400", "[-1e400]", '{"a":1.50,"b":1e999}'])
      assert.equal(kept(text, true), "no: a number that is no double");
  });

  it("finds half a surrogate pair in values and names, and nowhere else", () => {
    for (const text of ['"\\ud800"', '{"\\udfff":1}', '["a\\\\\\ud800"]']) {
      assert.equal(kept(text), "no: half a surrogate pair");
      assert.match(kept(text, true), /\ufffd/);
    }
    for (const text of ['"\\\\ud800"', '"\\\\\\\\ud800"', '"\\n\\\\ud"']) assert.equal(kept(text), text);
  });

  it("counts levels, and not the brackets of strings", () => {
    const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
    assert.equal(kept(nested(LEVELS_MAX)), nested(LEVELS_MAX));
    assert.equal(kept(nested(LEVELS_MAX + 1)), "no: more than 127 levels of nesting");
    assert.equal(kept(nested(100_000)), "no: more than 127 levels of nesting");
    const string = JSON.stringify(`\\"${"[{".repeat(200)}`);
    assert.equal(kept(string), string);
    const side = `[${new Array(300).fill("[]").join(",")}]`;
    assert.equal(kept(side), side);
  });

  it("finds what is no JSON, and shows nothing of it", () => {
    for (const text of ["{", "hunter2", ""]) assert.equal(kept(text), "no: what is no JSON");
  });

  it("keeps every value that JSON.stringify spells, whatever white space is around it", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(0, 1, "\t"), (value, space) => {
        // JSON.stringify makes 0 of -0.
        const spelled = JSON.stringify(value, null, space);
        const result = keep(spelled, { lossy: false });
        if ("problem" in result) assert.match(JSON.stringify(value), /\\ud/);
        else assert.equal(result.json, JSON.stringify(value));
      }),
    );
  });
});
