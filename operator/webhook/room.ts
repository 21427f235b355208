// How many requests are worked on at a time, how many may wait for that, and for how long. Knows no HTTP.
import type { Clock } from "#kit/clock.ts";

export interface RoomOptions {
  readonly places: number;
  readonly waitingMax: number;
  readonly waitMs: number;
  readonly clock: Clock;
}

interface Waiting {
  enter(): void;
}

export class Room {
  readonly #options: RoomOptions;
  #taken = 0;
  readonly #waiting = new Set<Waiting>();

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** Resolves with whether there is a place, in the order of asking; whoever has one gives it back by `leave`. */
  enter(): Promise<boolean> {
    const { places, waitingMax, waitMs, clock } = this.#options;
    if (this.#taken < places) {
      this.#taken++;
      return Promise.resolve(true);
    }
    if (this.#waiting.size >= waitingMax) return Promise.resolve(false);
    return new Promise((resolve) => {
      const waiting: Waiting = {
        enter: () => {
          timer.cancel();
          resolve(true);
        },
      };
      const timer = clock.after(waitMs, () => {
        this.#waiting.delete(waiting);
        resolve(false);
      });
      this.#waiting.add(waiting);
    });
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken--;
      return;
    }
    this.#waiting.delete(next);
    next.enter();
  }
}
