import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { sleep, systemClock } from "#kit/clock.ts";

describe("the system clock", () => {
  it("waits the longest time that there is instead of none when it is asked to wait for longer", async () => {
    let fired = false;
    const timers = [2 ** 31, 1e12, Number.POSITIVE_INFINITY].map((delayMs) =>
      systemClock.after(delayMs, () => {
        fired = true;
      }),
    );
    await keptAlive(sleep(systemClock, 20, new AbortController().signal));
    for (const timer of timers) timer.cancel();
    assert.equal(fired, false);
  });
});

describe("sleep", () => {
  it("gives true when the whole time has passed", async () => {
    assert.equal(await keptAlive(sleep(systemClock, 5, new AbortController().signal)), true);
  });

  it("gives false at once when the signal aborts, before or during the time", async () => {
    const abort = new AbortController();
    const sleeping = sleep(systemClock, 60_000, abort.signal);
    abort.abort();
    assert.equal(await sleeping, false);
    assert.equal(await sleep(systemClock, 60_000, abort.signal), false);
  });

  it("leaves no listener on the signal", async () => {
    const { signal } = new AbortController();
    await keptAlive(sleep(systemClock, 5, signal));
    assert.deepEqual(getEventListeners(signal, "abort"), []);
  });
});

/** The clock's timers do not keep the process alive by themselves. */
async function keptAlive<T>(waiting: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, 1000);
  try {
    return await waiting;
  } finally {
    clearInterval(timer);
  }
}
