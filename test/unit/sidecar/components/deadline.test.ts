// The bound on time, and what becomes of a result that comes too late.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import { DeadlineExceeded, within } from "#sidecar/components/deadline.ts";

describe("a deadline", () => {
  const open = new AbortController().signal;

  it("gives the result and leaves no timer behind", async () => {
    const late: string[] = [];
    const deadline = { clock: systemClock, ms: 1000, signal: open, discard: (result: string) => late.push(result) };
    assert.equal(await within(deadline, () => Promise.resolve("done")), "done");
    assert.deepEqual(late, []);
  });

  it("rejects after its time, aborts the task and discards what comes later", async () => {
    let finish: (result: string) => void = () => undefined;
    let inner: AbortSignal | null = null;
    let late: (result: string) => void = () => undefined;
    const discarded = new Promise<string>((resolve) => {
      late = resolve;
    });
    const deaf = (signal: AbortSignal): Promise<string> => {
      inner = signal;
      return new Promise((resolve) => {
        finish = resolve;
      });
    };
    const held = setTimeout(() => undefined, 5000);
    await assert.rejects(within({ clock: systemClock, ms: 5, signal: open, discard: late }, deaf), DeadlineExceeded);
    assert.equal((inner as AbortSignal | null)?.aborted, true);
    finish("too late");
    assert.equal(await discarded, "too late");
    clearTimeout(held);
  });

  it("rejects with the caller's reason when the caller leaves", async () => {
    const caller = new AbortController();
    const never = new Promise<string>(() => undefined);
    const waiting = within(
      { clock: systemClock, ms: 1000, signal: caller.signal, discard: () => undefined },
      () => never,
    );
    caller.abort(new Error("left"));
    await assert.rejects(waiting, /left/);
    await assert.rejects(
      within({ clock: systemClock, ms: 1, signal: caller.signal, discard: () => undefined }, () => never),
      /left/,
    );
  });
});
