// The spelling of versions.
import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalVersion } from "#sidecar/stores/redis/rows.ts";

describe("the version that an ETag names", () => {
  const table: [etag: string, version: string | null][] = [
    ["1", "1"],
    ["0", "0"],
    ["007", "7"],
    ["+7", "7"],
    ["-7", "-7"],
    ["-0", "0"],
    ["000", "0"],
    ["9007199254740993", "9007199254740993"],
    ["9223372036854775807", "9223372036854775807"],
    ["92233720368547758070", null],
    ["", null],
    ["-", null],
    ["1.0", null],
    ["1e3", null],
    ['"1"', null],
    [" 1", null],
    ["٣", null],
    ["b6f2d1aa-5b4c-4f0e-9d2e-111111111111", null],
  ];
  for (const [etag, version] of table) {
    it(`is ${version} for ${JSON.stringify(etag)}`, () => {
      assert.equal(canonicalVersion(etag), version);
    });
  }

  it("is the number's own spelling for every whole number of up to 19 digits, however it is written", () => {
    const largest = 10n ** 19n - 1n;
    const parts = fc.tuple(fc.bigInt({ min: -largest, max: largest }), fc.integer({ min: 0, max: 4 }), fc.boolean());
    fc.assert(
      fc.property(parts, ([number, zeros, plus]) => {
        const digits = "0".repeat(zeros) + String(number < 0n ? -number : number);
        const sign = number < 0n ? "-" : plus ? "+" : "";
        assert.equal(canonicalVersion(sign + digits), String(number));
      }),
    );
  });
});
