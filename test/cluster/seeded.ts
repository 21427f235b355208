// Chance from a seed: the same seed gives the same course.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import type { Random } from "#kit/random.ts";

const SEEDS = 2 ** 31;

/** PANNIER_TEST_SEED, or one of chance. Say it where a test fails: with it the same run can be asked for. */
export function seedOfRun(): number {
  const given = process.env.PANNIER_TEST_SEED;
  const seed = given === undefined ? randomInt(SEEDS) : Number(given);
  assert.ok(Number.isSafeInteger(seed), `PANNIER_TEST_SEED: got "${given}", want the whole number of a failed run`);
  return seed;
}

export class Chance implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The "mulberry" mixing of a 32-bit counter. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From 0 to `end`, which is left out. */
  whole(end: number): number {
    return Math.floor(this.fraction() * end);
  }

  oneOf<T>(all: readonly T[]): T {
    const found = all[this.whole(all.length)];
    assert.ok(found !== undefined, "nothing to choose from");
    return found;
  }

  /** One of its own, which draws nothing more from this one. */
  split(): Chance {
    return new Chance(this.whole(SEEDS));
  }

  uuid(): string {
    const hex = Array.from({ length: 32 }, () => this.whole(16).toString(16)).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }
}
