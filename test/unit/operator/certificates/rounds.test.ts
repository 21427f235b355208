import assert from "node:assert/strict";
import { Rounds } from "#operator/certificates/rounds.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";

describe("rounds", () => {
  it("come at once, every so often, sooner after a failure, and when asked", async () => {
    const clock = new ManualClock();
    const at: number[] = [];
    const failures: unknown[] = [];
    const round = (): Promise<void> => {
      at.push(clock.nowMs());
      return at.length === 2 ? Promise.reject(new Error("once")) : Promise.resolve();
    };
    const rounds = new Rounds({ clock, everyMs: 100, retryMs: 10, round, failed: (error) => failures.push(error) });
    await clock.advance(115);
    assert.deepEqual(at, [0, 100, 110]);
    assert.equal(failures.length, 1);
    await rounds.ask();
    assert.deepEqual(at, [0, 100, 110, 115]);
    await rounds.close();
    await clock.advance(1000);
    assert.equal(at.length, 4);
  });

  it("never run twice at a time, and one that is asked for meanwhile comes after", async () => {
    const clock = new ManualClock();
    const running: (() => void)[] = [];
    let most = 0;
    let now = 0;
    const round = async (): Promise<void> => {
      most = Math.max(most, ++now);
      await new Promise<void>((resolve) => running.push(resolve));
      now--;
    };
    const rounds = new Rounds({ clock, everyMs: 100, retryMs: 10, round, failed: () => undefined });
    let answered = 0;
    for (let asks = 0; asks < 3; asks++) void rounds.ask().then(() => answered++);
    running[0]?.();
    await settle();
    assert.deepEqual([running.length, answered, most], [2, 0, 1]);
    running[1]?.();
    await settle();
    assert.deepEqual([running.length, answered, most], [2, 3, 1]);
    await rounds.close();
    await rounds.ask();
  });
});
