import assert from "node:assert/strict";
import { nearest, WORD_LENGTH_MAX } from "#kit/nearest.ts";

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

  it("is none for a word that nobody mistyped: the work grows with its length", () => {
    const longest = "x".repeat(WORD_LENGTH_MAX);
    assert.equal(nearest(longest, [longest]), longest);
    assert.equal(nearest(`${longest}x`, [`${longest}x`]), null);
  });

  it("is not looked for among words of another length", () => {
    const known = {
      // Only a word whose length is near may be taken apart.
      toLowerCase: () => assert.fail("compared"),
      length: 1_000_000,
    };
    assert.equal(nearest("redisHost", [known as unknown as string]), null);
  });
});
