import assert from "node:assert/strict";
import { KeySet } from "#sidecar/state/key-set.ts";

describe("a set of keys", () => {
  it("counts each key once, also when it has grown", () => {
    const keys = new KeySet();
    for (let turn = 0; turn < 2; turn++) {
      for (let i = 0; i < 5000; i++) keys.add(`app||order-${i}`);
    }
    assert.equal(keys.size, 5000);
    keys.add("app||order-5000");
    assert.equal(keys.size, 5001);
  });
});
