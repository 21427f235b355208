// The signals of the process as three wishes: stop, stop at once, hang up. Knows nothing of what is stopped.
// Loaded before all else, so it imports next to nothing.
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

export interface Signals {
  /** Hands over what came until now and what comes from now on. */
  take(actions: SignalActions): void;
  /**
   * Stops listening, after one more look at what has come. What was never taken comes again, and does what it would have
   * done to any process.
   */
  release(): Promise<void>;
}

interface Wish {
  readonly name: keyof SignalActions;
  readonly signal: NodeJS.Signals;
  readonly tell: (actions: SignalActions) => void;
}

/**
 * Listens at once, so that a signal that comes while the verb is still being loaded is not lost and does not end the
 * process in its own way. `raise` is another one only in tests.
 */
export function holdSignals(raise = (signal: NodeJS.Signals): unknown => process.kill(process.pid, signal)): Signals {
  let first: { signal: StopSignal; atMs: number } | null = null;
  let taker: SignalActions | null = null;
  /** At most one of each name. */
  const held: Wish[] = [];
  const pass = (wish: Wish): void => {
    if (taker !== null) wish.tell(taker);
    else if (!held.some(({ name }) => name === wish.name)) held.push(wish);
  };
  const stop = (signal: StopSignal): void => {
    const nowMs = systemClock.monotonicMs();
    if (first === null) {
      first = { signal, atMs: nowMs };
      pass({ name: "stop", signal, tell: (actions) => actions.stop(signal) });
    } else if (first.signal !== signal || nowMs - first.atMs > ECHO_MS) {
      pass({ name: "hurry", signal, tell: (actions) => actions.hurry(signal) });
    }
  };
  const hangUp = (): void => pass({ name: "hangUp", signal: "SIGHUP", tell: (actions) => actions.hangUp() });
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  process.on("SIGHUP", hangUp);
  return {
    take(actions) {
      taker = actions;
      for (const wish of held.splice(0)) wish.tell(actions);
    },
    async release() {
      // A signal is told at the next turn of the event loop, and files may have been loaded without one.
      await new Promise((resolve) => setImmediate(resolve));
      for (const signal of STOP_SIGNALS) process.off(signal, stop);
      process.off("SIGHUP", hangUp);
      for (const { signal } of held.splice(0)) raise(signal);
    },
  };
}
