// Whichever end of a call comes first is its end, and nothing of it stays behind.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { systemClock } from "#kit/clock.ts";
import { Pending } from "#sidecar/stores/google/pending.ts";

const SERVER = "spanner at s:443";

/** Something that has begun and does not end by itself. */
class Endless {
  readonly pending = new Pending(SERVER, systemClock);
  readonly leaving = new AbortController();
  cancelled = 0;

  run(isWrite: boolean, withinMs = 60_000): Promise<unknown> {
    const deadlineMs = systemClock.monotonicMs() + withinMs;
    return this.pending.run({ signal: this.leaving.signal, deadlineMs, isWrite }, () => ({
      cancel: () => {
        this.cancelled++;
      },
    }));
  }
}

describe("a call that waits", () => {
  it("ends with the store, and leaves a write open", async () => {
    const endless = new Endless();
    const [read, write] = [endless.run(false), endless.run(true)];
    endless.pending.close();
    await assert.rejects(read, { code: "closed", message: "the store was closed" });
    await assert.rejects(write, { code: "unknown-outcome", message: /closed; the write may have happened/ });
    await assert.rejects(endless.run(true), { code: "closed" });
    assert.equal(endless.cancelled, 2);
  });

  it("ends with what its beginning throws, and leaves nothing behind", async () => {
    const { pending, leaving } = new Endless();
    const bounds = { signal: leaving.signal, deadlineMs: systemClock.monotonicMs() + 60_000, isWrite: true };
    const begin = (): never => {
      throw new Error("not begun");
    };
    await assert.rejects(pending.run(bounds, begin), { message: "not begun" });
    assert.equal(getEventListeners(leaving.signal, "abort").length, 0);
  });

  it("ends when its caller leaves, and does not begin for one who has left", async () => {
    const endless = new Endless();
    const [read, write] = [endless.run(false), endless.run(true)];
    endless.leaving.abort();
    await assert.rejects(read, { code: "timeout", message: `the caller left before ${SERVER} answered` });
    await assert.rejects(write, { code: "timeout", message: /may have happened/ });
    await assert.rejects(endless.run(true), { code: "timeout", message: "the caller left before the work began" });
    assert.equal(endless.cancelled, 2);
  });

  it("ends when its time is up, also when that was before it began", async () => {
    const endless = new Endless();
    for (const ms of [20, -1]) {
      await assert.rejects(endless.run(false, ms), { code: "timeout", message: `no answer from ${SERVER} in time` });
      await assert.rejects(endless.run(true, ms), { code: "timeout", message: /may have happened/ });
    }
    assert.equal(endless.cancelled, 4);
  });

  it("ends with its answer, and what comes later is passed over", async () => {
    const { pending, leaving } = new Endless();
    const { signal } = leaving;
    const bounds = { signal, deadlineMs: systemClock.monotonicMs() + 60_000, isWrite: true };
    const answered = pending.run<number>(bounds, ({ resolve, reject }) => {
      setTimeout(() => {
        resolve(7);
        reject(new Error("later"));
      }, 1);
      return { cancel: () => undefined };
    });
    assert.equal(getEventListeners(signal, "abort").length, 1);
    assert.equal(await answered, 7);
    assert.equal(getEventListeners(signal, "abort").length, 0);
    leaving.abort();
    pending.close();
  });
});
