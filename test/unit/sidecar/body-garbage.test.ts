import assert from "node:assert/strict";
import { BodyGarbage } from "#sidecar/body-garbage.ts";

const MIB = 1024 * 1024;

describe("the garbage of bodies", () => {
  it("is collected after some megabytes of large ones, and counted from there anew", () => {
    let collections = 0;
    const garbage = new BodyGarbage(() => collections++);
    const seen = [3, 3, 3, 3].map((mib) => {
      garbage.note(mib * MIB);
      return collections;
    });
    assert.deepEqual(seen, [0, 1, 1, 2]);
  });

  it("is left to V8 when it comes in small bodies", () => {
    let collections = 0;
    const garbage = new BodyGarbage(() => collections++);
    for (let i = 0; i < 10_000; i++) garbage.note(1024);
    assert.equal(collections, 0);
  });
});
