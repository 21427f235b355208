// Changes as one transaction of Datastore's: a look at the entities that have a condition, then all writes in one commit,
// which fails where one of them has changed since. Tried again where Datastore ended it for another's sake. A commit whose
// answer is lost is not sent again: Datastore has no way to ask what became of it. Knows no message of the API above.
import { type Clock, sleep } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { Mutation } from "#proto/gen/clients/google/datastore/v1/datastore.ts";
import type { How } from "../google/client.ts";
import type { Calls, Looked } from "./calls.ts";
import { conflict, isAborted, isGone, isReadLost, isThere } from "./failures.ts";

export interface Work<T> {
  /** Whose entities are looked at; empty: the commit is all there is. */
  readonly keys: readonly string[];
  /** Decides by the entities that are there. Throws where nothing is to be written. */
  decide(entities: Looked["entities"]): { readonly mutations: Mutation[]; readonly result: T };
}

const PAUSE_FIRST_MS = 5;
const PAUSE_LONGEST_MS = 500;

export interface TransactionsOptions {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly random: Random;
}

const NONE: Looked = { entities: new Map(), transaction: new Uint8Array(0) };

export class Transactions {
  readonly #options: TransactionsOptions;

  constructor(options: TransactionsOptions) {
    this.#options = options;
  }

  /** Rejects with a StoreError: the one that `decide` throws, or what Datastore said. */
  async run<T>(work: Work<T>, how: How): Promise<T> {
    /** The attempt before, for its place among those that wait for the same entities. */
    let previous: Uint8Array = new Uint8Array(0);
    let wasLost = false;
    for (let attempt = 0; ; attempt++) {
      try {
        const look = work.keys.length === 0 ? NONE : await this.#options.calls.begin(work.keys, previous, how);
        previous = look.transaction;
        return await this.#write(work, look, how);
      } catch (error) {
        if (isThere(error)) throw conflict("", "item already exists and no etag was passed");
        // Of a look that was lost nothing is in doubt. The connection is another one next time, once.
        const isAgain = isAborted(error) || isGone(error) || (isReadLost(error) && !wasLost);
        if (!isAgain || !(await this.#pause(PAUSE_FIRST_MS * 2 ** attempt, how))) throw error;
        wasLost ||= isReadLost(error);
        // What Datastore does not know has no place, and its name could be refused with every further attempt.
        if (isGone(error)) previous = NONE.transaction;
      }
    }
  }

  async #write<T>(work: Work<T>, { entities, transaction }: Looked, how: How): Promise<T> {
    const { calls } = this.#options;
    let isCommitting = false;
    try {
      const { mutations, result } = work.decide(entities);
      isCommitting = mutations.length > 0;
      if (isCommitting) await calls.commit(mutations, transaction, how);
      return result;
    } finally {
      // A commit ends the transaction, whatever comes of it.
      if (!isCommitting && transaction.length > 0) calls.rollback(transaction, how);
    }
  }

  /** False when there is no time for another attempt. */
  #pause(aboutMs: number, { signal, deadlineMs }: How): Promise<boolean> | boolean {
    const { clock, random } = this.#options;
    const pauseMs = Math.min(PAUSE_LONGEST_MS, aboutMs) * (0.5 + random.fraction());
    return clock.monotonicMs() + pauseMs < deadlineMs && sleep(clock, pauseMs, signal);
  }
}
