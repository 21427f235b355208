import assert from "node:assert/strict";
import { nearest } from "#kit/nearest.ts";

describe("the nearest word", () => {
  const known = ["redisHost", "redisPassword", "enableTLS"];

  it("is the one that is fewest edits away, without regard to case", () => {
    assert.deepEqual(
      ["redisHosst", "REDISPASSWORD", "enabelTLS"].map((word) => nearest(word, known)),
      known,
    );
  });

  it("is none when all are too far to be meant", () => {
    assert.deepEqual(
      ["x", "somethingElse", ""].map((word) => nearest(word, known)),
      [null, null, null],
    );
  });
});
