import assert from "node:assert/strict";
import { formatMs, parseGoDuration } from "#kit/duration.ts";

describe("a Go duration", () => {
  const right: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["+0", 0],
    ["300ms", 300],
    ["-1.5h", -5_400_000],
    ["1h15m30.918s", 4_530_918],
    ["1.s", 1000],
    [".5s", 500],
    ["2us", 0.002],
    ["2µs", 0.002],
    ["7ns", 7e-6],
  ];
  for (const [text, ms] of right) {
    it(`reads ${text}`, () => {
      const read = parseGoDuration(text);
      assert.ok(read !== null && Math.abs(read - ms) < 1e-9, String(read));
    });
  }

  for (const text of ["", "3", "s", ".", "-", "1 s", "1s2", "1d", "1S", "--1s", "1e3s", "s1"]) {
    it(`is not ${JSON.stringify(text)}`, () => assert.equal(parseGoDuration(text), null));
  }

  it("is written in the unit that people read", () => {
    assert.deepEqual([0.5, 250, 1500, 90_000].map(formatMs), ["0.5ms", "250ms", "1.5s", "1.5m"]);
  });
});
