// Time as an argument. Everything that waits or asks for the hour gets a Clock, so that a test can move it.
import { performance } from "node:perf_hooks";

export interface Timer {
  /** Stops the timer; harmless after it has fired. */
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01 UTC. */
  nowMs(): number;
  /** Never goes back; milliseconds with fractions since an arbitrary start. */
  monotonicMs(): number;
  /** Runs `task` once after `delayMs`, 24 days at most. A waiting timer does not keep the process alive. */
  after(delayMs: number, task: () => void): Timer;
}

/** What a timer of Node can wait, in milliseconds; it fires at once when it is asked to wait for longer. */
const DELAY_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const handle = setTimeout(task, Math.min(delayMs, DELAY_MAX_MS));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Never aborts. */
export const never: AbortSignal = new AbortController().signal;

/**
 * Resolves after `delayMs`, or at once with `false` when `signal` aborts first.
 * Gives `true` when the whole time has passed.
 */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const leave = (): void => {
      timer.cancel();
      resolve(false);
    };
    const timer = clock.after(delayMs, () => {
      signal.removeEventListener("abort", leave);
      resolve(true);
    });
    signal.addEventListener("abort", leave, { once: true });
  });
}
