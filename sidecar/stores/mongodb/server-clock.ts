// The time of the server, by which its TTL monitor removes documents and Dapr hides them. A classic update cannot compute
// with it, so it is measured: the clock of a sidecar may be off by more than a TTL is long.
import type { Clock, Timer } from "#kit/clock.ts";

const MEASURE_EVERY_MS = 60_000;

/** Asks the server for its hour, in milliseconds since 1970; null when it does not tell. Rejects when it is away. */
export type AskTime = () => Promise<number | null>;

export class ServerClock {
  readonly #clock: Clock;
  readonly #ask: AskTime;
  /** What to add to the monotonic clock, at least and at most: between them lies the way of the answer. */
  #least: number;
  #most: number;
  #timer: Timer | null = null;
  #closed = false;

  private constructor(clock: Clock, ask: AskTime) {
    this.#clock = clock;
    this.#ask = ask;
    this.#least = clock.nowMs() - clock.monotonicMs();
    this.#most = this.#least;
  }

  /** Measures once, and from then on once in a minute until `close`. Rejects as `ask` does. */
  static async start(clock: Clock, ask: AskTime): Promise<{ readonly time: ServerClock; readonly told: boolean }> {
    const time = new ServerClock(clock, ask);
    const told = await time.#measure();
    time.#plan();
    return { time, told };
  }

  /** It is this late there, or later. */
  earliestMs(): number {
    return Math.floor(this.#clock.monotonicMs() + this.#least);
  }

  /** It is this late there, or earlier. */
  latestMs(): number {
    return Math.ceil(this.#clock.monotonicMs() + this.#most);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** False where the server does not tell: then it is the sidecar's own time. */
  async #measure(): Promise<boolean> {
    const sentMs = this.#clock.monotonicMs();
    const toldMs = await this.#ask();
    if (toldMs === null) return false;
    this.#least = toldMs - this.#clock.monotonicMs();
    // It tells whole milliseconds.
    this.#most = toldMs + 1 - sentMs;
    return true;
  }

  #plan(): void {
    if (this.#closed) return;
    this.#timer = this.#clock.after(MEASURE_EVERY_MS, () => {
      // A server that is away says so to requests; until it is back the last measure is good enough.
      const again = (): void => this.#plan();
      this.#measure().then(again, again);
    });
  }
}
