import assert from "node:assert/strict";
import { lossIn, withoutSurrogates } from "#sidecar/stores/postgresql/json-loss.ts";

describe("what jsonb does not keep", () => {
  const kept = [
    "null",
    "true",
    '{"a":false,"e":1}',
    "0",
    "[0,-1]",
    "-0.5",
    "-0.01e5",
    "-10",
    "1e-05",
    "1E400",
    "[1e-0,2e-0]",
    '"-0"',
    '"a-0 1e999"',
    '"\\\\u0000"',
    '"\\\\"',
    '"\\"-0"',
    '"\\ud83d\\ude00"',
    '{"\\u0061":"\\n\\u000a"}',
    '"\\uD83D\\uDE00 \\\\ud800"',
    '"1e999 \\" -0"',
  ];
  for (const text of kept) it(`keeps ${text}`, () => assert.equal(lossIn(text), null));

  const lost: [text: string, loss: string][] = [
    ["-0", "negative-zero"],
    ["[1,-0]", "negative-zero"],
    ["-0.00", "negative-zero"],
    ["-0e5", "negative-zero"],
    ['{"a":"x","b":-0}', "negative-zero"],
    ['"\\u0000"', "nul"],
    ['{"a\\u0000":1}', "nul"],
    ['["\\n","a\\\\\\u0000"]', "nul"],
    ['"\\ud800"', "surrogate"],
    ['"\\udc00"', "surrogate"],
    ['"\\udc00\\ud800"', "surrogate"],
    ['"\\ud83d\\ud83d\\ude00"', "surrogate"],
    ['"\\ud83d\\n"', "surrogate"],
    ["1e401", "exponent"],
    ["[1.5E+99999999999999999999]", "exponent"],
    ['{"e":1e-401}', "exponent"],
  ];
  for (const [text, loss] of lost) it(`finds ${loss} in ${text}`, () => assert.equal(lossIn(text), loss));

  it("is a value whose exponents write out far more than was sent", () => {
    const list = (number: string, count: number): string => `[${new Array(count).fill(number).join(",")}]`;
    assert.equal(lossIn(list("1e400", 600_000)), "expansion");
    assert.equal(lossIn(list("1e-399", 4000)), "expansion");
    assert.equal(lossIn(list("1.5E+400", 2600)), null);
    // A double of 17 digits is not written out as much longer than it was.
    assert.equal(lossIn(list("1.2345678901234567e-22", 200_000)), null);
    assert.equal(lossIn(JSON.stringify(list("1e400", 600_000))), null);
    assert.equal(withoutSurrogates(list("1e400", 600_000)).left, "expansion");
  });

  it("is half a character that can be replaced, and a sign that can be dropped", () => {
    const { text, left } = withoutSurrogates('["\\ud800",-0,"a\\udc00b\\ud83d\\ude00"]');
    assert.deepEqual([text, left], ['["\\ufffd",-0,"a\\ufffdb\\ud83d\\ude00"]', null]);
  });

  it("is nothing else that could be taken", () => {
    assert.equal(withoutSurrogates('["\\ud800","\\u0000"]').left, "nul");
    assert.equal(withoutSurrogates("[-0,1e401]").left, "exponent");
  });
});
