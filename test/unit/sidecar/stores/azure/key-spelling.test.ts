// Keys whose characters Azure does not take.
import assert from "node:assert/strict";
import fc from "fast-check";
import { isControl, spell, unspell } from "#sidecar/stores/azure/key-spelling.ts";
import { nameOf } from "#sidecar/stores/blobstorage/names.ts";
import { RowNames } from "#sidecar/stores/tablestorage/row-names.ts";

const unfit = (code: number): boolean => code === 0x5c || isControl(code);

describe("the spelling of a key", () => {
  it("leaves a key as it is that has nothing to spell", () => {
    for (const key of ["", "app||order-1", "é%5C%", "\u{1f9fa}"]) assert.equal(spell(key, unfit), key);
  });

  it("writes a mark and two hex digits for a character, and doubles the mark", () => {
    assert.equal(spell("a\\b\nc", unfit), "a﹪5Cb﹪0Ac");
    assert.equal(spell("﹪5C", unfit), "﹪﹪5C");
  });

  it("can be read back, whatever the key is", () => {
    const key = fc.string({ unit: fc.constantFrom("﹪", "\\", "5", "C", "\n", "\x9f", "|", "/", ".", "a") });
    fc.assert(fc.property(key, (text) => unspell(spell(text, unfit)) === text));
  });

  it("never makes one blob or one row of two keys", () => {
    const text = fc.string({ unit: fc.constantFrom("﹪", "\\", "/", ".", "2", "E", "F", "|", "#", "a"), maxLength: 8 });
    const rows = [false, true].map((isCosmos) => new RowNames(isCosmos));
    const pair = fc.tuple(text, text).filter(([one, other]) => one !== other && one !== "" && other !== "");
    fc.assert(
      fc.property(pair, ([one, other]) => {
        assert.notEqual(nameOf(one), nameOf(other));
        for (const names of rows) {
          const [a, b] = [one, other].map((key) => (key.indexOf("||") === key.length - 2 ? null : names.nameOf(key)));
          if (a !== null && b !== null) assert.notDeepEqual(a, b);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
