// How many requests are worked on at a time, how many may wait for that, and for how long. Nobody fills it alone: of what
// is free the sender gets most who has least. Knows no HTTP.
import type { Clock } from "#kit/clock.ts";

export interface RoomOptions {
  readonly places: number;
  /** Of these for one sender. */
  readonly placesEach: number;
  readonly waitingMax: number;
  readonly waitMs: number;
  readonly clock: Clock;
}

interface Waiting {
  readonly sender: string;
  /** Has it a place? */
  end(has: boolean): void;
}

export class Room {
  readonly #options: RoomOptions;
  #taken = 0;
  /** Places by who has them; nobody is in it who has none. */
  readonly #places = new Map<string, number>();
  readonly #waiting = new Set<Waiting>();

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** Resolves with whether there is a place; whoever has one gives it back by `leave`. Of one sender in the order of asking. */
  enter(sender: string): Promise<boolean> {
    const { places, placesEach, waitingMax, waitMs, clock } = this.#options;
    if (this.#taken < places && this.#placesOf(sender) < placesEach) {
      this.#take(sender);
      return Promise.resolve(true);
    }
    if (this.#waiting.size >= waitingMax && !this.#makeRoomFor(sender)) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = clock.after(waitMs, () => waiting.end(false));
      const waiting: Waiting = {
        sender,
        end: (has) => {
          timer.cancel();
          this.#waiting.delete(waiting);
          resolve(has);
        },
      };
      this.#waiting.add(waiting);
    });
  }

  leave(sender: string): void {
    const left = this.#placesOf(sender) - 1;
    if (left > 0) this.#places.set(sender, left);
    else this.#places.delete(sender);
    this.#taken--;
    const next = this.#next();
    if (next === null) return;
    this.#take(next.sender);
    next.end(true);
  }

  #take(sender: string): void {
    this.#taken++;
    this.#places.set(sender, this.#placesOf(sender) + 1);
  }

  #placesOf(sender: string): number {
    return this.#places.get(sender) ?? 0;
  }

  /** Of the sender with the fewest places who has waited longest. */
  #next(): Waiting | null {
    let next: Waiting | null = null;
    let fewest = this.#options.placesEach;
    for (const waiting of this.#waiting) {
      const places = this.#placesOf(waiting.sender);
      if (places >= fewest) continue;
      [next, fewest] = [waiting, places];
    }
    return next;
  }

  /** The newest of the sender with the most that wait gives way, unless `sender` has as many. */
  #makeRoomFor(sender: string): boolean {
    const counts = new Map<string, number>();
    let most: Waiting | null = null;
    for (const waiting of this.#waiting) {
      const count = (counts.get(waiting.sender) ?? 0) + 1;
      counts.set(waiting.sender, count);
      if (count >= (counts.get(most?.sender ?? "") ?? 0)) most = waiting;
    }
    if (most === null || (counts.get(most.sender) ?? 0) <= (counts.get(sender) ?? 0) + 1) return false;
    most.end(false);
    return true;
  }
}
