// The spelling of versions.
import assert from "node:assert/strict";
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
});
