import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonNumber, SPELLED_LENGTH_MAX, spelledNumber } from "#sidecar/state/query/number.ts";

function compare(left: string, right: string): number {
  // Plus 0, since -0 is not 0 to a strict assertion.
  return Math.sign(new JsonNumber(left).compare(new JsonNumber(right))) + 0;
}

/** Numbers with up to 30 digits as a whole number of hundredths, and some of their spellings. */
const hundredths = fc.bigInt(-(10n ** 30n), 10n ** 30n);

function spell(value: bigint, way: number): string {
  const sign = value < 0n ? "-" : "";
  const digits = (value < 0n ? -value : value).toString().padStart(3, "0");
  const plain = `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`;
  if (way === 0) return plain;
  if (way === 1) return `${plain}000`;
  return way === 2 ? `${value}e-2` : `${value}00E-4`;
}

describe("numbers of a query", () => {
  it("compare by their exact value, however they are spelled", () => {
    fc.assert(
      fc.property(hundredths, hundredths, fc.nat(3), fc.nat(3), (left, right, one, other) => {
        const want = left < right ? -1 : Number(left > right);
        assert.equal(compare(spell(left, one), spell(right, other)), want);
        assert.equal(compare(spell(left, one), spell(left, other)), 0);
      }),
    );
  });

  const cases: readonly (readonly [string, string, number])[] = [
    ["9007199254740992", "9007199254740993", -1],
    ["0.1", "0.10000000000000000001", -1],
    ["0", "-0.0e5", 0],
    ["-1", "0.0", -1],
    ["100", "1e2", 0],
    ["1e400", "1e399", 1],
    ["-1e400", "-1e399", -1],
    ["1e-400", "0", 1],
    ["1e99999999999999999999", "1e99999999999999999998", 0],
    ["9e99999999999999999999", "-9e99999999999999999999", 1],
    ["1e-99999999999999999999", "1", -1],
    ["12", "9", 1],
  ];
  for (const [left, right, want] of cases) {
    it(`compare ${left} with ${right} as ${want}`, () => {
      assert.deepEqual([compare(left, right), compare(right, left)], [want, want === 0 ? 0 : -want]);
    });
  }

  it("keep their order when they are shortened", () => {
    fc.assert(
      fc.property(hundredths, hundredths, fc.nat(3), fc.nat(3), (left, right, one, other) => {
        const [short, long] = [left, right].map((value, at) =>
          new JsonNumber(spell(value, at === 0 ? one : other)).shortened(8),
        );
        assert.ok(short !== undefined && long !== undefined);
        const turned = Math.sign(short.compare(long)) * compare(spell(left, 0), spell(right, 0));
        assert.ok(turned >= 0, `${short.text} ${long.text}`);
      }),
    );
  });

  it("have one canonical text for all spellings of a value, and for no other value", () => {
    fc.assert(
      fc.property(hundredths, hundredths, fc.nat(3), fc.nat(3), (left, right, one, other) => {
        const canonical = (value: bigint, way: number): string => new JsonNumber(spell(value, way)).canonical;
        assert.equal(canonical(left, one), canonical(left, other));
        assert.equal(canonical(left, one) === canonical(right, other), left === right);
      }),
    );
  });

  it("are spelled by strings up to a length", () => {
    assert.equal(spelledNumber("1".repeat(SPELLED_LENGTH_MAX))?.text.length, SPELLED_LENGTH_MAX);
    assert.equal(spelledNumber("1".repeat(SPELLED_LENGTH_MAX + 1)), null);
  });

  it("are spelled as JSON spells them and in no other way", () => {
    for (const text of ["0", "-1.50", "1E+3"]) assert.equal(spelledNumber(text)?.text, text);
    for (const text of ["", "01", "+1", ".5", "1.", "0x1", " 1", "1\n", "NaN"]) assert.equal(spelledNumber(text), null);
  });
});
