// The system's clock, which a test can move ahead: what was to happen by then happens at once. Timers of under four
// seconds, which watch over answers and connections, take their own time.
import { type Clock, systemClock, type Timer } from "#kit/clock.ts";

const MOVABLE_MS_MIN = 4_000;

interface Waiting {
  readonly dueMs: number;
  readonly run: () => void;
}

export class MovableClock implements Clock {
  #aheadMs = 0;
  readonly #waiting = new Set<Waiting>();

  nowMs(): number {
    return systemClock.nowMs() + this.#aheadMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#aheadMs;
  }

  after(delayMs: number, task: () => void): Timer {
    if (delayMs < MOVABLE_MS_MIN) return systemClock.after(delayMs, task);
    const run = (): void => {
      cancel();
      task();
    };
    const timer = systemClock.after(delayMs, run);
    const waiting = { dueMs: this.monotonicMs() + delayMs, run };
    const cancel = (): void => {
      timer.cancel();
      this.#waiting.delete(waiting);
    };
    this.#waiting.add(waiting);
    return { cancel };
  }

  /** How many of the movable timers wait. */
  get timers(): number {
    return this.#waiting.size;
  }

  move(ms: number): void {
    this.#aheadMs += ms;
    const nowMs = this.monotonicMs();
    for (const { dueMs, run } of [...this.#waiting]) if (dueMs <= nowMs) run();
  }
}
