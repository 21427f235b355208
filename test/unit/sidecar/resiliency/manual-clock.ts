// A clock that a test moves by hand; what waits on it runs when its time comes.
import type { Clock, Timer } from "#kit/clock.ts";

export class ManualClock implements Clock {
  #nowMs = 0;
  #waiting: { readonly atMs: number; readonly task: () => void }[] = [];
  /** How long each timer was asked to wait, in the order of asking. */
  readonly asked: number[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): Timer {
    this.asked.push(delayMs);
    const timer = { atMs: this.#nowMs + delayMs, task };
    this.#waiting.push(timer);
    return {
      cancel: () => {
        this.#waiting = this.#waiting.filter((each) => each !== timer);
      },
    };
  }

  get timers(): number {
    return this.#waiting.length;
  }

  /** Lets time pass, and whatever it sets off run. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#waiting.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#waiting = this.#waiting.filter((each) => each !== next);
      this.#nowMs = next.atMs;
      next.task();
      await settle();
    }
    this.#nowMs = endMs;
  }
}

/** Everything that only waits for promises runs. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
