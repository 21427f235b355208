// What a driver's tests keep: all of it is ended, whatever goes wrong with a part.
import assert from "node:assert/strict";
import { keeper } from "#test/stores/bench.ts";

describe("what tests keep", () => {
  it("is ended the newest first, and once", async () => {
    const { keep, end } = keeper();
    const ended: string[] = [];
    for (const name of ["server", "store"])
      assert.equal(
        keep(name, async () => void ended.push(name)),
        name,
      );
    await end();
    await end();
    assert.deepEqual(ended, ["store", "server"]);
  });

  it("is ended also where the end of another fails, and the first failure is told", async () => {
    const { keep, end } = keeper();
    const ended: string[] = [];
    keep("server", () => ended.push("server"));
    keep("proxy", () => Promise.reject(new Error("the proxy hangs")));
    keep("store", () => {
      throw new Error("the store hangs");
    });
    await assert.rejects(end(), { message: "the store hangs" });
    assert.deepEqual(ended, ["server"]);
  });
});
