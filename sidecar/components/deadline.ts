// A bound on how long something may take, and on what comes too late. Knows no store.
import type { Clock } from "#kit/clock.ts";

export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
}

export interface Deadline<T> {
  readonly clock: Clock;
  readonly ms: number;
  /** Ends the wait before its time. */
  readonly signal: AbortSignal;
  /** Takes a result that came after the end, so that nothing stays open. */
  readonly discard: (late: T) => void;
}

/**
 * Runs `task` with a signal that aborts at the end of the time, and rejects then with {@link DeadlineExceeded} even if
 * the task does not listen. Rejects with the reason of `deadline.signal` when that aborts first.
 */
export async function within<T>(deadline: Deadline<T>, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, ms, signal, discard } = deadline;
  signal.throwIfAborted();
  const controller = new AbortController();
  const over = new Promise<never>((_resolve, reject) => {
    controller.signal.addEventListener("abort", () => reject(controller.signal.reason), { once: true });
  });
  const leave = (): void => controller.abort(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  const timer = clock.after(ms, () => controller.abort(new DeadlineExceeded(`not done after ${ms}ms`)));
  const result = task(controller.signal);
  try {
    return await Promise.race([result, over]);
  } catch (error) {
    // A failure after the end has been told already; a success is closed.
    result.then(discard, () => undefined);
    throw error;
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", leave);
  }
}
