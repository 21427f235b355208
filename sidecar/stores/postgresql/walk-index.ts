// Has the index made that walks need, once, in the background, when the first walk comes: applications that never walk do
// not pay for it with every write. Where none can be made walks are refused: each page would read the whole table.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { SqlError } from "../sql/failure.ts";
import { quoteTable } from "./names.ts";
import { POSTGRESQL } from "./product.ts";
import type { Session } from "./session.ts";
import { begin, type Tables } from "./statements.ts";
import type { WalkStatements } from "./walk.ts";
import { type Outlook, outlookOf, warnOfWalks } from "./walk-outlook.ts";

export interface WalkIndexOptions {
  readonly sql: WalkStatements;
  readonly tables: Tables;
  /** Makes a connection beside the pool: building an index takes its time. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A build that takes longer is given up by us; the server may finish it all the same. */
export const BUILD_MS_MAX: number = 6 * 3_600_000;
/** A pooler may have no second connection to give, while others wait for the one that is held here. */
const SECOND_MS_MAX = 5000;
/** While there is no index, walks look for it no more often. */
const LOOK_AGAIN_MS = 10_000;

export class WalkIndex {
  readonly #options: WalkIndexOptions;
  readonly #leaving = new AbortController();
  #isThere = false;
  #isUnderWay = false;
  /** Of the clock's monotonic time. */
  #nextLookMs = 0;
  /** Nothing but looking is left to do here: a second connection was not to be had. */
  #isAlone = false;
  /** Why walks are refused; null while the index is there, or is still to come. */
  #refusal: string | null = null;

  constructor(options: WalkIndexOptions) {
    this.#options = options;
  }

  /** To be called before a walk: throws a StoreError of code `unavailable` where the index could not be made. */
  admit(): void {
    if (this.#refusal === null) return;
    this.ask();
    throw new SqlError("unavailable", `keys cannot be listed: ${this.#refusal}`);
  }

  /** To be called after a walk: begins to look for the index, and to have it made, unless it is there or that is under way. */
  ask(): void {
    const { clock } = this.#options;
    if (this.#isThere || this.#isUnderWay || this.#leaving.signal.aborted) return;
    if (clock.monotonicMs() < this.#nextLookMs) return;
    this.#isUnderWay = true;
    void this.#look().finally(() => {
      this.#isUnderWay = false;
      this.#nextLookMs = clock.monotonicMs() + LOOK_AGAIN_MS;
    });
  }

  /** Ends the connection of a build; the server goes on with it. */
  close(): void {
    this.#leaving.abort();
  }

  async #look(): Promise<void> {
    const { connect, clock } = this.#options;
    const { signal } = this.#leaving;
    const sessions: Session[] = [];
    const leave = (): void => {
      for (const session of sessions) session.destroy("closed");
    };
    const timer = clock.after(BUILD_MS_MAX, leave);
    signal.addEventListener("abort", leave, { once: true });
    const another = async (): Promise<Session> => {
      const session = await connect(signal);
      sessions.push(session);
      return session;
    };
    try {
      this.#learn(await this.#make(another, leave));
    } catch (error) {
      if (!signal.aborted) this.#refuse({ kind: "makeable" }, this.#isAlone ? ALONE : String(error));
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", leave);
      // The one in a transaction ends it so.
      for (const session of sessions) session.close();
    }
  }

  /** Makes the index where there is none and it may; gives what there is in the end. */
  async #make(another: () => Promise<Session>, leave: () => void): Promise<Outlook> {
    const { sql, tables, clock } = this.#options;
    const claiming = await another();
    const outlook = await outlookOf(claiming, sql, tables);
    if (outlook.kind !== "makeable" || this.#isAlone) return outlook;
    // Another sidecar is at it: builds that run side by side end in deadlocks. A lock of the session would do without a
    // transaction, and stay behind with a pooler's connection; a build cannot be inside of one.
    await claiming.run(begin(POSTGRESQL, 0));
    const { rows: claims } = await claiming.run(sql.claimIndex);
    if (claims[0]?.mine !== true) return { kind: "being-made" };
    const timer = clock.after(SECOND_MS_MAX, () => {
      this.#isAlone = true;
      leave();
    });
    const building = await another();
    // A pooler has the server's connection for it with the first statement only.
    await building.run(sql.findIndex, [quoteTable(tables.state)]).finally(() => timer.cancel());
    // Whoever had the lock before may have made it meanwhile: then this does nothing.
    await building.run(sql.makeIndex);
    return outlookOf(claiming, sql, tables);
  }

  #learn(outlook: Outlook): void {
    if (outlook.kind === "being-made") return;
    this.#isThere = outlook.kind === "there";
    if (this.#isThere) this.#refusal = null;
    else this.#refuse(outlook, this.#isAlone ? ALONE : undefined);
  }

  /** Warns once, until the index is there. */
  #refuse(outlook: Outlook, why?: string): void {
    const { log, sql, tables } = this.#options;
    if (this.#refusal !== null) return;
    const told = warnOfWalks(log, { sql, tables, outlook, ...(why === undefined ? {} : { why }) });
    this.#refusal = `no index serves walks over them (${told.why}); ${told.how}`;
  }
}

const ALONE = `the pooler gave no second connection within ${SECOND_MS_MAX} ms`;
