// Changes as one transaction of Spanner's: a look at the rows that have a condition, under lock, then all writes in one
// commit. Tried again where Spanner ended it for another's sake; where a commit had no answer, it finds out what became of
// it. Knows no message of the API above.
import { type Clock, sleep } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { CommitRequest, Mutation, TransactionSelector } from "#proto/gen/clients/google/spanner/v1/spanner.ts";
import type { How } from "../google/client.ts";
import { StoreError } from "../store.ts";
import { type Calls, later, type ReadEnd, STRONG } from "./calls.ts";
import { isAborted, isInDoubt, isLost, isNotSent } from "./failures.ts";
import { type Column, expiryMs, keySet } from "./rows.ts";

/** A row as a condition sees it. */
export interface Looked {
  readonly version: string | null;
  readonly expiresAtMs: number | null;
}

/** What a transaction writes. */
export interface Writes {
  readonly mutations: Mutation[];
  /** A key that gets a version of its own here, by which the commit is found again; null where nothing is put. */
  readonly mark: { readonly key: string; readonly version: string } | null;
}

export interface Work<T> {
  /** Whose rows are looked at, under lock; empty: nothing is looked at, and the commit is all there is. */
  readonly keys: readonly string[];
  /** Whether the server's time is needed even where no row that was looked at can expire. */
  readonly needsTime: boolean;
  /** Decides by the rows that are there, live ones and expired ones alike. Throws where nothing is to be written. */
  decide(rows: ReadonlyMap<string, Looked>, serverMs: number): { readonly writes: Writes; readonly result: T };
}

const LOOK_COLUMNS: readonly Column[] = ["key", "version", "expiry"];
/** Keys of one read: a request has to stay below 10 MB, and a key can have 8 KB. */
export const KEYS_MAX = 500;

const PAUSE_FIRST_MS = 5;
const PAUSE_LONGEST_MS = 500;
/** How often a commit that had no answer is sent again, or its mark looked for, about a second long. */
const DOUBTS_MAX = 5;
const DOUBT_FIRST_MS = 100;

export interface TransactionsOptions {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly random: Random;
}

export class Transactions {
  readonly #options: TransactionsOptions;

  constructor(options: TransactionsOptions) {
    this.#options = options;
  }

  /** Rejects with a StoreError: the one that `decide` throws, or what Spanner said. */
  async run<T>(work: Work<T>, how: How): Promise<T> {
    const { calls } = this.#options;
    /** Keeps this one's place in the queue for locks, from attempt to attempt within a session. */
    let previous: { session: string; id: Uint8Array } = { session: "", id: new Uint8Array(0) };
    let wasLost = false;
    for (let attempt = 0; ; attempt++) {
      try {
        return await calls.during(how, async (session) => {
          if (previous.session !== session) previous = { session, id: new Uint8Array(0) };
          const look = await this.#look(session, work.keys, previous.id, how);
          if (look.id.length > 0) previous.id = look.id;
          return await this.#write(session, work, look, how);
        });
      } catch (error) {
        // Of a look that was lost nothing is in doubt. The connection is another one next time, once.
        const isAgain = isAborted(error) || (isLost(error) && !isInDoubt(error) && !wasLost);
        if (!isAgain || !(await this.#pause(PAUSE_FIRST_MS * 2 ** attempt, how))) throw error;
        wasLost ||= isLost(error);
      }
    }
  }

  /** False when there is no time for another attempt. */
  #pause(aboutMs: number, { signal, deadlineMs }: How): Promise<boolean> | boolean {
    const { clock, random } = this.#options;
    const pauseMs = Math.min(PAUSE_LONGEST_MS, aboutMs) * (0.5 + random.fraction());
    return clock.monotonicMs() + pauseMs < deadlineMs && sleep(clock, pauseMs, signal);
  }

  /** Begins the transaction with its first read. */
  async #look(session: string, keys: readonly string[], previous: Uint8Array, how: How): Promise<Look> {
    const rows = new Map<string, Looked>();
    const look: Look = { rows, id: new Uint8Array(0), token: undefined };
    for (let at = 0; at < keys.length; at += KEYS_MAX) {
      const transaction: TransactionSelector = { selector: look.id.length > 0 ? idOf(look) : begin(previous) };
      const request = { columns: LOOK_COLUMNS, keySet: keySet(keys.slice(at, at + KEYS_MAX)), limit: 0, transaction };
      const end = await this.#options.calls.read(session, request, how, ([key, version = null, expiry = null]) => {
        rows.set(key ?? "", { version, expiresAtMs: expiryMs(expiry) });
        return true;
      });
      if (look.id.length === 0) look.id = end.id;
      // Without an id the commit would not be bound to what was looked at.
      if (look.id.length === 0) throw new StoreError("failed", "spanner began no transaction");
      look.token = later(look.token, end.token);
    }
    return look;
  }

  async #write<T>(session: string, work: Work<T>, look: Look, how: How): Promise<T> {
    const { writes, result } = await this.#decide(session, work, look, how).catch((error: unknown) => {
      this.#giveBack(session, look, how);
      throw error;
    });
    if (writes.mutations.length > 0) await this.#commit(session, writes, look, how);
    else this.#giveBack(session, look, how);
    return result;
  }

  async #decide<T>(session: string, work: Work<T>, { rows }: Look, how: How): Promise<ReturnType<Work<T>["decide"]>> {
    const canExpire = [...rows.values()].some(({ expiresAtMs }) => expiresAtMs !== null);
    const isTimed = work.needsTime || canExpire;
    return work.decide(rows, isTimed ? await this.#options.calls.serverMs(session, how) : 0);
  }

  #giveBack(session: string, { id }: Look, how: How): void {
    if (id.length > 0) this.#options.calls.rollback(session, id, how);
  }

  async #commit(session: string, { mutations, mark }: Writes, look: Look, how: How): Promise<void> {
    const request: CommitRequest = {
      session,
      transaction: look.id.length > 0 ? { $case: "transactionId", transactionId: look.id } : SINGLE_USE,
      mutations,
      precommitToken: look.token,
    };
    const sending: Sending = { request };
    try {
      await this.#send(sending, how);
    } catch (error) {
      if (!isLost(error) || !(await this.#isCommitted(sending, mark, how))) throw error;
    }
  }

  /** Until it is committed: Spanner may want a commit once more, with a token of its own and without the mutations. */
  async #send(sending: Sending, how: How): Promise<void> {
    for (;;) {
      const { precommitToken } = await this.#options.calls.commit(sending.request, how);
      if (precommitToken === undefined) return;
      sending.request = { ...sending.request, mutations: [], precommitToken };
    }
  }

  /**
   * Whether a commit without an answer was made. A transaction with an id commits once, however often it is told to; the
   * other kind is not sent again, and shows by the version that it wrote. False: nobody knows.
   */
  async #isCommitted(sending: Sending, mark: Writes["mark"], how: How): Promise<boolean> {
    for (let doubt = 0; doubt < DOUBTS_MAX; doubt++) {
      if (doubt > 0 && !(await this.#pause(DOUBT_FIRST_MS * 2 ** (doubt - 1), how))) return false;
      try {
        if (sending.request.transaction?.$case !== "transactionId") return await this.#isThere(mark, how);
        await this.#send(sending, how);
        return true;
      } catch (error) {
        // The doubt is what is told, not why it could not be settled.
        if (!isLost(error) && !isNotSent(error)) return false;
      }
    }
    return false;
  }

  async #isThere(mark: Writes["mark"], how: How): Promise<boolean> {
    if (mark === null) return false;
    let version: string | null = null;
    const rows = { columns: LOOK_COLUMNS, keySet: keySet([mark.key]), limit: 0, options: STRONG };
    await this.#options.calls.rows(rows, how, () => ([, found = null]) => {
      version = found;
      return true;
    });
    return version === mark.version;
  }
}

/** A commit in the form in which it has to be sent next. */
interface Sending {
  request: CommitRequest;
}

interface Look extends Pick<ReadEnd, "token"> {
  readonly rows: ReadonlyMap<string, Looked>;
  /** Empty where nothing was looked at. */
  id: Uint8Array;
  token: ReadEnd["token"];
}

const SINGLE_USE: CommitRequest["transaction"] = {
  $case: "singleUseTransaction",
  singleUseTransaction: readWrite(new Uint8Array(0)),
};

function readWrite(previous: Uint8Array): Extract<TransactionSelector["selector"], { $case: "begin" }>["begin"] {
  return { mode: { $case: "readWrite", readWrite: { multiplexedSessionPreviousTransactionId: previous } } };
}

function begin(previous: Uint8Array): TransactionSelector["selector"] {
  return { $case: "begin", begin: readWrite(previous) };
}

function idOf({ id }: Look): TransactionSelector["selector"] {
  return { $case: "id", id };
}
