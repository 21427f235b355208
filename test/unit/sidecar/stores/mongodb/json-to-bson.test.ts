// What becomes of JSON in BSON: numbers, names and characters, and which texts stay text because BSON would change them.
import assert from "node:assert/strict";
import fc from "fast-check";
import { BSON } from "mongodb";
import { eachElement, toJson } from "#sidecar/stores/mongodb/bson.ts";
import { toBson } from "#sidecar/stores/mongodb/json-to-bson.ts";

/** The text that comes back of one that is kept as BSON; null for one that stays text. */
function there(text: string): string | null {
  const native = toBson(Buffer.from(text));
  if (native === null) return null;
  const bytes = Buffer.from(BSON.serialize({ v: native.value }));
  const back: string[] = [];
  eachElement(bytes, 0, (element) => back.push(toJson(bytes, element)));
  return back.join();
}

describe("JSON in BSON", () => {
  const kept: Readonly<Record<string, string>> = {
    "1": "1",
    "-0": "-0",
    "0.10": "0.1",
    "1E+2": "100",
    "9007199254740993": "9007199254740993",
    "-9223372036854775808": "-9223372036854775808",
    "5e-324": "5e-324",
    "100000000000000000000": "100000000000000000000",
    "1e21": "1e+21",
    true: "true",
    null: "null",
    "[]": "[]",
    ' { "b" : 1 , "10" : [ {} ] , "9" : "" } ': '{"b":1,"10":[{}],"9":""}',
    '{"_bsontype":"ObjectId","__proto__":1,"toBSON":2,"":3}': '{"_bsontype":"ObjectId","__proto__":1,"toBSON":2,"":3}',
    '["\\u0000\\ud83e\\uddfa\\/$x\\u2028"]': '["\\u0000\u{1f9fa}/$x\u2028"]',
  };
  for (const [text, back] of Object.entries(kept))
    it(`keeps ${text} as ${back}`, () => assert.equal(there(text), back));

  const left = {
    "a number that no double is": "3.14159265358979323846",
    "a number beyond doubles": "1e400",
    "a whole number beyond 64 bits": "9223372036854775808",
    "a name twice": '{"a":1,"a":2}',
    "a name with a dollar": '{"x":{"$set":1}}',
    "a name with a dot": '{"a.b":1}',
    "a name with a NUL": '{"a\\u0000":1}',
    "a lone surrogate": '["\\ud800"]',
    "a lone surrogate before another escape": '["\\ud800\\u0041"]',
    "a lone low surrogate": '{"\\udfff":1}',
    "surrogates in the wrong order": '["\\udc00\\ud800"]',
    "eighty-two levels": "[".repeat(82) + "]".repeat(82),
    "no JSON": "{",
    "more than one text": "1 2",
  };
  for (const [what, text] of Object.entries(left)) it(`leaves ${what} as text`, () => assert.equal(there(text), null));

  it("writes a whole number as a double, as Dapr does, and 64 bits only where a double is another number", () => {
    const typeOf = (text: string): unknown => Reflect.get(Object(toBson(Buffer.from(text))?.value), "_bsontype");
    assert.deepEqual(["5", "1.5", "9007199254740992"].map(typeOf), ["Double", "Double", "Double"]);
    assert.equal(toBson(Buffer.from("9007199254740993"))?.value, 9007199254740993n);
  });

  it("gives back any JSON value, or leaves it as text", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const back = there(text);
        if (back !== null) assert.deepEqual(JSON.parse(back), JSON.parse(text));
      }),
    );
  });
});
