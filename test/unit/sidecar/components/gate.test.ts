// The bound on how many stores open at a time.
import assert from "node:assert/strict";
import { Gate } from "#sidecar/components/gate.ts";

describe("a gate", () => {
  it("lets so many run at a time and all in the end, also after a failure", async () => {
    const gate = new Gate(2);
    let running = 0;
    let most = 0;
    const task = async (index: number): Promise<number> => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running--;
      if (index === 1) throw new Error("one of them");
      return index;
    };
    const outcomes = await Promise.allSettled([0, 1, 2, 3, 4].map((index) => gate.run(() => task(index))));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled", "fulfilled", "fulfilled"],
    );
    assert.equal(most, 2);
    assert.equal(await gate.run(() => Promise.resolve("again")), "again");
  });
});
