// Consistency levels: those of the manifest's words, and which one a call takes (dapr-state-stores.md 11c).
import { types } from "cassandra-driver";
import type { LevelName } from "./fields.ts";

export type Level = types.consistencies;

const { consistencies } = types;

const BY_NAME: Readonly<Record<LevelName, Level>> = {
  All: consistencies.all,
  One: consistencies.one,
  Two: consistencies.two,
  Three: consistencies.three,
  Quorum: consistencies.quorum,
  LocalQuorum: consistencies.localQuorum,
  EachQuorum: consistencies.eachQuorum,
  LocalOne: consistencies.localOne,
  Any: consistencies.any,
};

/** Of the agreement in a lightweight transaction; over all data centers, or writers in two of them would not meet. */
export const AGREEMENT: Level = consistencies.serial;

/** Of a look at plain writes before a lightweight transaction, which needs as many replicas itself. */
export const MOST: Level = consistencies.quorum;

/** For what a node answers out of its own knowledge. */
export const ANY_NODE: Level = consistencies.localOne;

export class Levels {
  readonly #usual: Level;
  readonly #etags: boolean;

  constructor(name: LevelName, etags: boolean) {
    this.#usual = BY_NAME[name];
    this.#etags = etags;
  }

  /** Dapr's levels. Beside lightweight transactions only a serial read sees also those that ended without an answer. */
  read(strong: boolean): Level {
    if (strong) return this.#etags ? AGREEMENT : consistencies.all;
    // Nodes before version 4 take Any for writes only.
    return this.#usual === consistencies.any ? consistencies.one : this.#usual;
  }

  /** Of a plain write; of a lightweight transaction, how many replicas must have it when it is answered. */
  write(strong: boolean): Level {
    return strong ? consistencies.quorum : this.#usual;
  }
}

/** "Quorum", "Serial": for errors. */
export function levelName(level: number): string {
  const found = Object.entries(BY_NAME).find(([, each]) => each === level);
  return found?.[0] ?? (level === consistencies.serial ? "Serial" : `level ${level}`);
}
