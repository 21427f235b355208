import assert from "node:assert/strict";
import { expireTimeText, readTtl } from "#sidecar/state/ttl.ts";

describe("ttlInSeconds", () => {
  const wanted: readonly (readonly [string | undefined, number | null | undefined])[] = [
    [undefined, undefined],
    ["", undefined],
    ["1", 1],
    ["+5", 5],
    ["2147483647", 2_147_483_647],
    ["0", null],
    ["-0", null],
    ["-1", null],
  ];
  for (const [text, ttl] of wanted) {
    it(`${text === undefined ? "absent" : JSON.stringify(text)} means ${ttl}`, () => {
      assert.deepEqual(readTtl(text === undefined ? {} : { ttlInSeconds: text }), { ttl });
    });
  }

  for (const text of ["-2", "2147483648", "1.5", "1e3", "foo", " 1", "-", "9999999999999999"]) {
    it(`refuses ${JSON.stringify(text)} and names it`, () => {
      const reading = readTtl({ ttlInSeconds: text });
      assert.ok("problem" in reading && reading.problem.includes(JSON.stringify(text)));
    });
  }

  it("is told as RFC 3339 in whole seconds", () => {
    assert.equal(expireTimeText(Date.UTC(2026, 0, 2, 3, 4, 5, 999)), "2026-01-02T03:04:05Z");
  });
});
