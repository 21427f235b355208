import assert from "node:assert/strict";
import fc from "fast-check";
import { compareUtf8, endOfBeginning } from "#kit/utf8-order.ts";

const text = fc.string({
  unit: fc.constantFrom("a", "b", "\u007f", "\u00e9", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"),
});

describe("the order of UTF-8", () => {
  it("is the order of the bytes", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        assert.equal(Math.sign(compareUtf8(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  it("has an end for each beginning: what is between the two begins so, and nothing else does", () => {
    fc.assert(
      fc.property(text, text, (beginning, other) => {
        const end = endOfBeginning(beginning);
        const isBetween = compareUtf8(other, beginning) >= 0 && (end === null || compareUtf8(other, end) < 0);
        assert.equal(isBetween, other.startsWith(beginning), JSON.stringify({ beginning, other, end }));
      }),
    );
  });

  it("has no end for the empty beginning and for the last characters of all", () => {
    assert.equal(endOfBeginning(""), null);
    assert.equal(endOfBeginning("\u{10ffff}\u{10ffff}"), null);
    assert.equal(endOfBeginning("a\u{10ffff}"), "b");
    assert.equal(endOfBeginning("\ud7ff"), "\ue000");
  });
});
