// Has the index made that walks need, once, in the background, when the first walk comes: applications that never walk do
// not pay for it with every write. Without it walks are right and slow, so that a failure is a warning.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { quoteTable } from "./names.ts";
import { POSTGRESQL } from "./product.ts";
import type { Session } from "./session.ts";
import { begin, type Tables } from "./statements.ts";
import type { WalkStatements } from "./walk.ts";

export interface WalkIndexOptions {
  readonly sql: WalkStatements;
  readonly tables: Tables;
  /** Makes a connection beside the pool: building an index takes its time. */
  readonly connect: (signal: AbortSignal) => Promise<Session>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A build that takes longer is given up by us; the server may finish it all the same. */
const BUILD_MS_MAX = 6 * 3_600_000;
/** A pooler may have no second connection to give, while others wait for the one that is held here. */
const SECOND_MS_MAX = 5000;

export class WalkIndex {
  readonly #options: WalkIndexOptions;
  readonly #leaving = new AbortController();
  #asked = false;

  constructor(options: WalkIndexOptions) {
    this.#options = options;
  }

  /** Begins to have the index made, unless that was begun before. */
  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    void this.#make();
  }

  /** Ends the connection of a build; the server goes on with it. */
  close(): void {
    this.#asked = true;
    this.#leaving.abort();
  }

  async #make(): Promise<void> {
    const { connect, clock, log, sql } = this.#options;
    const { signal } = this.#leaving;
    const sessions: Session[] = [];
    let isAlone = false;
    const leave = (): void => {
      for (const session of sessions) session.destroy("closed");
    };
    let timer = clock.after(BUILD_MS_MAX, leave);
    signal.addEventListener("abort", leave, { once: true });
    try {
      const claiming = await connect(signal);
      sessions.push(claiming);
      if ((await this.#find(claiming)) === true) return;
      // Another sidecar is at it: builds that run side by side end in deadlocks. A lock of the session would do without a
      // transaction, and stay behind with a pooler's connection; a build cannot be inside of one.
      await claiming.run(begin(POSTGRESQL, 0));
      const { rows: claims } = await claiming.run(sql.claimIndex);
      if (claims[0]?.mine !== true) return;
      const building = await connect(signal);
      sessions.push(building);
      timer.cancel();
      timer = clock.after(SECOND_MS_MAX, () => {
        isAlone = true;
        leave();
      });
      const valid = await this.#find(building);
      timer.cancel();
      timer = clock.after(BUILD_MS_MAX, leave);
      await this.#build(building, valid);
    } catch (error) {
      const how = `as the table's owner run: ${sql.makeIndex.text}`;
      const why = isAlone ? `the pooler gave no second connection within ${SECOND_MS_MAX} ms` : String(error);
      if (!signal.aborted) log.warn("no index for walks over keys, they read the whole table", { error: why, how });
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", leave);
      // The one in a transaction ends it so.
      for (const session of sessions) session.close();
    }
  }

  /** Null where there is none, false where it is not finished. */
  async #find(session: Session): Promise<unknown> {
    const { rows } = await session.run(this.#options.sql.findIndex, [quoteTable(this.#options.tables.state)]);
    return rows[0]?.valid;
  }

  async #build(session: Session, valid: unknown): Promise<void> {
    const { log, tables, sql } = this.#options;
    if (valid === true) return;
    const table = quoteTable(tables.state);
    if (valid === false) log.warn("an index for walks was not finished; drop it and list again", { table });
    else await session.run(sql.makeIndex);
  }
}
