import assert from "node:assert/strict";
import { countLine, skipLines, total } from "#test/summary.ts";

const ONE = { passed: 2, failed: ["a: broken"], skipped: ["x (not run: no java (Debian: apt-get install it))"] };
const TWO = {
  passed: 3,
  failed: [],
  skipped: ["y (not run: no java (Debian: apt-get install it)) reads", "z (not run: by address only", "bare"],
};

describe("the sum of test runs", () => {
  it("counts all of them in the form that CI reads", () => {
    assert.equal(countLine(total([ONE, TWO])), "5 passed, 1 failed, 4 skipped");
    assert.equal(countLine(total([])), "0 passed, 0 failed, 0 skipped");
  });

  it("tells each reason once, with the tests that it kept from running", () => {
    assert.deepEqual(skipLines(total([ONE, TWO])), [
      "skipped 2: no java (Debian: apt-get install it)",
      "skipped 1: by address only",
      "skipped 1: bare",
    ]);
  });
});
