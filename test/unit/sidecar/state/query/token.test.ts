import assert from "node:assert/strict";
import { makePageToken } from "#sidecar/state/page-token.ts";
import { JsonNumber } from "#sidecar/state/query/number.ts";
import { readQueryToken, writeQueryToken } from "#sidecar/state/query/token.ts";

const SUBJECT = ["query", "s"];

describe("page token of a query", () => {
  it("holds every kind of sort value, the key, and where the walk goes on", () => {
    const by = [null, true, "x\ud83d\ude00", "1", new JsonNumber("12345678901234567890"), new JsonNumber("-0.5e3")];
    for (const after of [null, "app||k"]) {
      const position = { place: { by, key: 'a"ü' }, after };
      assert.deepEqual(readQueryToken(SUBJECT, writeQueryToken(SUBJECT, position), by.length), position);
    }
  });

  it("is none for an empty text", () => assert.equal(readQueryToken(SUBJECT, "", 0), null));

  const forged: readonly string[] = [
    "",
    "x",
    "null",
    "{}",
    "[]",
    '[[],"k"]',
    '[[],"k",5]',
    "[[],5,null]",
    '["a","k",null]',
    '[[],"k",null,null]',
    '[[1],"k",null]',
    '[[["1"]],"k",null]',
    '[["a"],"k",null]',
  ];
  for (const position of forged) {
    it(`is refused when somebody has put ${position || "nothing"} into it`, () => {
      // A place for no sort key is asked for, but where an entry is what is wrong.
      const sortKeys = position === '[[1],"k",null]' ? 1 : 0;
      assert.throws(() => readQueryToken(SUBJECT, makePageToken(SUBJECT, position), sortKeys), {
        name: "QueryFault",
        message: /^page\.token: got a token that was altered/,
      });
    });
  }

  it("is refused with a number in it that is none", () => {
    const token = makePageToken(SUBJECT, '[[["1x"]],"k",null]');
    assert.throws(() => readQueryToken(SUBJECT, token, 1), { name: "QueryFault" });
  });
});
