// Chance as an argument, for the same reason as the clock.
import { randomInt, randomUUID } from "node:crypto";

export interface Random {
  /** A version 4 UUID in lower case. */
  uuid(): string;
  /** A number from 0 (included) to 1 (left out). */
  fraction(): number;
}

const STEPS = 2 ** 32;

export const systemRandom: Random = {
  uuid: () => randomUUID(),
  fraction: () => randomInt(STEPS) / STEPS,
};
