// Keys and rows as statements take them: in lists of few lengths, and of bounded size.
import assert from "node:assert/strict";
import { keysPadded, rowsByStatement } from "#sidecar/stores/sql/lists.ts";

describe("the keys of a SQL statement", () => {
  it("come in lists of few lengths, with the last one repeated", () => {
    assert.deepEqual(keysPadded(["a", "b"], 1000), [["a", "b", "b", "b"]]);
    assert.deepEqual(keysPadded([], 1000), []);
    const lengths = (keys: number, most: number): readonly number[] =>
      keysPadded(Array.from({ length: keys }, String), most).map(({ length }) => length);
    assert.deepEqual(lengths(2001, 1000), [1000, 1000, 1]);
    assert.deepEqual(lengths(5, 3), [3, 3]);
    assert.deepEqual(lengths(273, 256), [256, 64]);
  });
});

describe("the rows of a SQL statement", () => {
  const rows = (...bytes: readonly number[]): readonly { bytes: number }[] => bytes.map((each) => ({ bytes: each }));
  const sizes = (...bytes: readonly number[]): readonly (readonly number[])[] =>
    rowsByStatement(rows(...bytes)).map((each) => each.map((row) => row.bytes));
  const MIB = 1024 * 1024;

  it("are 64 at most", () => {
    assert.deepEqual(
      sizes(...new Array<number>(130).fill(1)).map(({ length }) => length),
      [64, 64, 2],
    );
  });

  it("have a mebibyte together at most, unless one alone has more", () => {
    assert.deepEqual(sizes(MIB / 2, MIB / 2, 1), [[MIB / 2, MIB / 2], [1]]);
    assert.deepEqual(sizes(1, 3 * MIB, 1, 2), [[1], [3 * MIB], [1, 2]]);
    assert.deepEqual(sizes(), []);
  });
});
