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

  it("counts every case that one title stands for", () => {
    const skipped = [
      "a keeps it in 203 cases (not run: no server)",
      "b keeps it in 1 cases (not run: no server)",
      "in 7 cases",
    ];
    const all = total([ONE, { passed: 0, failed: [], skipped }]);
    assert.equal(countLine(all), "2 passed, 1 failed, 206 skipped");
    assert.deepEqual(skipLines(all).slice(1), ["skipped 204: no server", "skipped 1: in 7 cases"]);
  });
});
