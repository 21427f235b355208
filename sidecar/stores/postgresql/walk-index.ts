// Has the index made that walks need, once, in the background, when the first walk comes: applications that never walk do
// not pay for it with every write. Without it walks are right and slow, so that a failure is a warning.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { quoteTable } from "./names.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./statements.ts";
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
    const { connect, clock, log, tables, sql } = this.#options;
    const table = quoteTable(tables.state);
    const { signal } = this.#leaving;
    let session: Session | null = null;
    const leave = (): void => session?.destroy("closed");
    const timer = clock.after(BUILD_MS_MAX, leave);
    try {
      session = await connect(signal);
      signal.addEventListener("abort", leave, { once: true });
      const { rows: claims } = await session.run(sql.claimIndex, [table]);
      // Another sidecar is at it: builds that run side by side end in deadlocks.
      if (claims[0]?.mine !== true) return;
      const { rows } = await session.run(sql.findIndex, [table]);
      const valid = rows[0]?.valid;
      if (valid === true) return;
      if (valid === false) log.warn("an index for walks was not finished; drop it and list again", { table });
      else await session.run(sql.makeIndex);
    } catch (error) {
      const how = `as the table's owner run: ${sql.makeIndex.text}`;
      if (!signal.aborted)
        log.warn("no index for walks over keys, they read the whole table", { error: String(error), how });
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", leave);
      session?.close();
    }
  }
}
