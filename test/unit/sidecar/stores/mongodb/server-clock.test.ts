// The time of a server, measured by a sidecar whose own clock stands elsewhere.
import assert from "node:assert/strict";
import type { Clock } from "#kit/clock.ts";
import { ServerClock } from "#sidecar/stores/mongodb/server-clock.ts";

/** A clock that stands still until it is told to go on. */
class HeldClock implements Clock {
  #ms = 1000;
  readonly #tasks: { readonly atMs: number; readonly task: () => void }[] = [];
  cancelled = 0;

  nowMs(): number {
    return this.#ms + 500_000;
  }

  monotonicMs(): number {
    return this.#ms;
  }

  after(delayMs: number, task: () => void): { cancel(): void } {
    this.#tasks.push({ atMs: this.#ms + delayMs, task });
    return { cancel: () => void this.cancelled++ };
  }

  async go(ms: number): Promise<void> {
    this.#ms += ms;
    const due = this.#tasks.filter(({ atMs }) => atMs <= this.#ms);
    for (const each of due) this.#tasks.splice(this.#tasks.indexOf(each), 1);
    for (const { task } of due) task();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("the server's time", () => {
  it("lies between what the server said before the question and after the answer", async () => {
    const clock = new HeldClock();
    const { time, told } = await ServerClock.start(clock, async () => {
      await clock.go(40);
      return 9_000_000;
    });
    assert.deepEqual([told, time.earliestMs(), time.latestMs()], [true, 9_000_000, 9_000_041]);
    await clock.go(1000);
    assert.deepEqual([time.earliestMs(), time.latestMs()], [9_001_000, 9_001_041]);
    time.close();
  });

  it("is measured again in a minute, and stays as it was while the server is away", async () => {
    const clock = new HeldClock();
    const answers: (number | Error)[] = [9_000_000, new Error("away"), 9_200_000];
    const { time } = await ServerClock.start(clock, async () => {
      const answer = answers.shift();
      if (typeof answer !== "number") throw answer ?? new Error("asked too often");
      return answer;
    });
    await clock.go(60_000);
    assert.equal(time.earliestMs(), 9_060_000);
    await clock.go(60_000);
    assert.equal(time.earliestMs(), 9_200_000);
    assert.deepEqual(answers, []);
    time.close();
    assert.equal(clock.cancelled, 1);
  });

  it("is the sidecar's where the server does not tell it", async () => {
    const clock = new HeldClock();
    const { time, told } = await ServerClock.start(clock, async () => null);
    assert.deepEqual([told, time.earliestMs(), time.latestMs()], [false, clock.nowMs(), clock.nowMs()]);
    time.close();
  });

  it("does not begin when the first question fails", async () => {
    await assert.rejects(
      ServerClock.start(new HeldClock(), () => Promise.reject(new Error("away"))),
      /away/,
    );
  });
});
