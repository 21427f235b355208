// A manual clock whose wall time can also jump over months, without all the timers in between.
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";

export class JumpClock extends ManualClock {
  #baseMs: number;

  constructor(baseMs: number) {
    super();
    this.#baseMs = baseMs;
  }

  override nowMs(): number {
    return this.#baseMs + super.nowMs();
  }

  jump(ms: number): void {
    this.#baseMs += ms;
  }
}
