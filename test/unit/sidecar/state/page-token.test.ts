import assert from "node:assert/strict";
import fc from "fast-check";
import { makePageToken, readPageToken, type TokenSubject } from "#sidecar/state/page-token.ts";

const subject: TokenSubject = ["keys", "orders", "state.redis", "app||", "app||a"];

describe("a page token", () => {
  it("gives back its position, whatever text that is", () => {
    for (const position of ["", "0", "17592186044416.abc", "app||\u{1f9fa}", "\0"]) {
      assert.equal(readPageToken(subject, makePageToken(subject, position)), position);
    }
  });

  it("needs no escapes in a URL", () => {
    assert.match(makePageToken(subject, "app||a/ü+?"), /^[\w-]+$/);
  });

  it("is the same in every process, so that replicas take each other's", () => {
    assert.equal(makePageToken(["a"], "b"), makePageToken(["a"], "b"));
  });

  it("is refused when one character differs, is missing, or is more", () => {
    const token = makePageToken(subject, "app||a17");
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (let at = 0; at < token.length; at++) {
      for (const letter of letters) {
        if (letter === token[at]) continue;
        const altered = token.slice(0, at) + letter + token.slice(at + 1);
        assert.equal(readPageToken(subject, altered), null, altered);
      }
      assert.equal(readPageToken(subject, token.slice(0, at) + token.slice(at + 1)), null);
    }
    for (const other of [`${token}A`, `${token}=`, ` ${token}`, "", "x", "not a token"]) {
      assert.equal(readPageToken(subject, other), null, other);
    }
  });

  it("is refused for another kind, store, type, application or prefix", () => {
    const token = makePageToken(subject, "app||a17");
    for (const index of subject.keys()) {
      const other = subject.map((text, at) => (at === index ? `${text}x` : text));
      assert.equal(readPageToken(other, token), null, `another ${subject[index]}`);
    }
    // No two subjects run together into one text.
    assert.equal(readPageToken(["ke", "ysorders", ...subject.slice(2)], token), null);
  });

  it("is refused for any other text", () => {
    fc.assert(fc.property(fc.string(), (text) => readPageToken(subject, text) === null));
    fc.assert(
      fc.property(
        fc.uint8Array(),
        (bytes) => readPageToken(subject, Buffer.from(bytes).toString("base64url")) === null,
      ),
    );
  });
});
