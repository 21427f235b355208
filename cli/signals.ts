// The signals of the process as three wishes: stop, stop at once, hang up. Knows nothing of what is stopped.
import { systemClock } from "#kit/clock.ts";

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGQUIT";

export interface SignalActions {
  /** The first signal that asks to stop. */
  stop(signal: StopSignal): void;
  /** Another one: stop waiting. */
  hurry(signal: StopSignal): void;
  /** SIGHUP. */
  hangUp(): void;
}

const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGQUIT"];

/**
 * The same signal again within this time is the same wish: on Ctrl-C under `npm start` the terminal sends one to this
 * process and npm passes its own on.
 */
const ECHO_MS = 500;

/** Listens until the function that comes back is called. */
export function onSignals(actions: SignalActions): () => void {
  let first: { signal: StopSignal; atMs: number } | null = null;
  const take = (signal: StopSignal): void => {
    const nowMs = systemClock.monotonicMs();
    if (first === null) {
      first = { signal, atMs: nowMs };
      actions.stop(signal);
    } else if (first.signal !== signal || nowMs - first.atMs > ECHO_MS) {
      actions.hurry(signal);
    }
  };
  const hangUp = (): void => actions.hangUp();
  for (const signal of STOP_SIGNALS) process.on(signal, take);
  process.on("SIGHUP", hangUp);
  return () => {
    for (const signal of STOP_SIGNALS) process.off(signal, take);
    process.off("SIGHUP", hangUp);
  };
}
