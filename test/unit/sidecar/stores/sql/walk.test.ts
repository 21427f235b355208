// How far a page of a walk goes, and where a range of keys ends.
import assert from "node:assert/strict";
import { endOf, fitting, reachOf } from "#sidecar/stores/sql/walk.ts";
import { LIST_BYTES_MAX } from "#sidecar/stores/store.ts";

describe("a page of a SQL walk", () => {
  it("looks at ten rows for each that it may give, at 1,000 at least and 10,000 at most, and at all that it may give", () => {
    const looks = [1, 100, 500, 1000, 5000, 20_000].map((limit) => reachOf({ limit, values: false }).look);
    assert.deepEqual(looks, [1000, 1000, 5000, 10_000, 10_000, 20_000]);
  });

  it("gives 250 rows with values at most, and as many as are asked for without", () => {
    assert.deepEqual(reachOf({ limit: 1000, values: true }), { limit: 250, look: 2500 });
    assert.equal(reachOf({ limit: 10, values: true }).limit, 10);
    assert.equal(reachOf({ limit: 1000, values: false }).limit, 1000);
  });

  it("ends with the value with which its bytes are reached", () => {
    assert.equal(fitting([1, LIST_BYTES_MAX - 1, 5]), 2);
    assert.equal(fitting([1, LIST_BYTES_MAX - 2, 5]), 3);
    assert.equal(fitting([LIST_BYTES_MAX + 1, 1]), 1);
    assert.equal(fitting([1, 2]), 2);
    assert.equal(fitting([]), 0);
  });
});

describe("the end of a range of SQL keys", () => {
  const ends = [
    ["a", "b"],
    ["app||", "app|}"],
    ["a\u{10ffff}", "b"],
    ["\ud7ff", "\ue000"],
    ["\uffff", "\u{10000}"],
    ["\u{1f600}", "\u{1f601}"],
    ["\u{10ffff}\u{10ffff}", null],
    ["", null],
  ] as const;
  for (const [start, end] of ends)
    it(`is ${JSON.stringify(end)} for those that begin with ${JSON.stringify(start)}`, () => {
      assert.equal(endOf(start), end);
      if (end === null) return;
      const bytes = (text: string): Buffer => Buffer.from(text);
      assert.ok(bytes(`${start}\u{10ffff}`).compare(bytes(end)) < 0);
    });
});
