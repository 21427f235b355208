// Plain scalars as Dapr's YAML reader takes them.
import assert from "node:assert/strict";
import { readPlain, type ScalarValue } from "#crds/scalar.ts";

const CASES: readonly (readonly [string, ScalarValue])[] = [
  ["localhost:6379", "localhost:6379"],
  ["yes", true],
  ["On", true],
  ["n", false],
  ["oN", "oN"],
  ["~", null],
  ["", null],
  ["NULL", null],
  ["0123", 83],
  ["0o17", 15],
  ["089", 89],
  ["0x1F", 31],
  ["-0b101", -5],
  ["1_000", 1000],
  ["+5", 5],
  ["1.10", 1.1],
  ["1.", 1],
  [".5", 0.5],
  [".5_0", ".5_0"],
  ["1e3", 1000],
  ["1e400", "1e400"],
  ["_1", "_1"],
  ["190:20:30", "190:20:30"],
  ["2024-01-01", "2024-01-01"],
  ["9007199254740991", 9007199254740991],
  ["9007199254740993", 9007199254740993n],
  ["-18446744073709551616", -18446744073709551616n],
  ["1.2.3", "1.2.3"],
  ["-", "-"],
  [".inf", Number.POSITIVE_INFINITY],
];

describe("a plain scalar", () => {
  for (const [text, value] of CASES) {
    it(`reads ${JSON.stringify(text)} as ${typeof value} ${String(value)}`, () => {
      assert.deepEqual(readPlain(text), { merge: false, value });
    });
  }

  it("tells the merge key apart", () => {
    assert.deepEqual(readPlain("<<"), { merge: true });
  });
});
