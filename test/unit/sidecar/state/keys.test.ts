import assert from "node:assert/strict";
import fc from "fast-check";
import { originalKey, qualify, resolveKeyPrefix } from "#sidecar/state/keys.ts";

const choice = { strategy: "", storeName: "orders", appId: "app", namespace: "prod" };

describe("key prefix", () => {
  const cases: readonly (readonly [Partial<typeof choice>, string])[] = [
    [{}, "app||"],
    [{ strategy: "appid" }, "app||"],
    [{ strategy: "appid", appId: "" }, ""],
    [{ strategy: "name" }, "orders||"],
    [{ strategy: "namespace" }, "prod.app||"],
    [{ strategy: "namespace", namespace: "" }, "app||"],
    [{ strategy: "namespace", appId: "" }, ""],
    [{ strategy: "none" }, ""],
    [{ strategy: "shared" }, "shared||"],
  ];
  for (const [change, prefix] of cases) {
    it(`is "${prefix}" for ${JSON.stringify(change)}`, () =>
      assert.equal(resolveKeyPrefix({ ...choice, ...change }), prefix));
  }

  it("is taken off again by originalKey, for every key without the separator", () => {
    const key = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("||") && !text.startsWith("|"));
    fc.assert(fc.property(key, (text) => assert.equal(originalKey(qualify("s", "app||", text)), text)));
  });

  it("refuses a key with the separator and names it", () => {
    assert.throws(() => qualify("s", "app||", "a||b"), {
      code: "illegal-key",
      message: "input key/keyPrefix 'a||b' can't contain '||'",
    });
  });

  it("gives the second part of an actor's key and the whole of a bare one", () => {
    assert.deepEqual(["app||type||id||k", "bare"].map(originalKey), ["type", "bare"]);
  });
});
