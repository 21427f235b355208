// Removes expired rows from time to time, one sidecar at a time (dapr-state-stores.md 0.8, 8b). They are not served either
// way.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Runner } from "../sql/runner.ts";
import type { Session, Values } from "./session.ts";
import { CLEANUP_ROWS_MAX, type Statement, type Statements } from "./statements.ts";

export interface CleanupOptions {
  readonly runner: Runner<Session>;
  readonly sql: Statements;
  readonly intervalMs: number;
  /** The metadata table can tell who cleaned up last; else each sidecar does it. */
  readonly isShared: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export class Cleanup {
  readonly #options: CleanupOptions;
  readonly #leaving = new AbortController();
  #timer: Timer | null = null;

  /** An interval of zero or less: never. */
  constructor(options: CleanupOptions) {
    this.#options = options;
    if (options.intervalMs > 0) this.#plan();
  }

  close(): void {
    this.#leaving.abort();
    this.#timer?.cancel();
  }

  #plan(): void {
    const { clock, intervalMs } = this.#options;
    this.#timer = clock.after(intervalMs, () => void this.#cleanUp());
  }

  async #cleanUp(): Promise<void> {
    const { sql, log } = this.#options;
    try {
      // Step by step, so that no statement holds its locks for long.
      if (await this.#isOurTurn()) while ((await this.#change(sql.cleanup, {})) === CLEANUP_ROWS_MAX);
    } catch (error) {
      // Expired rows are not served, so the next turn is early enough.
      if (!this.#leaving.signal.aborted) log.warn("cleanup of expired rows failed", { cause: String(error) });
    }
    if (!this.#leaving.signal.aborted) this.#plan();
  }

  async #isOurTurn(): Promise<boolean> {
    const { sql, intervalMs, isShared } = this.#options;
    if (!isShared) return true;
    const values = { Seconds: Math.floor(intervalMs / 1000), Milliseconds: Math.round(intervalMs % 1000) };
    return (await this.#change(sql.claimCleanup, values)) > 0;
  }

  async #change(statement: Statement, values: Values): Promise<number> {
    const { signal } = this.#leaving;
    const { runner } = this.#options;
    const [row] = await runner.run({ effect: "write", signal, task: (session) => session.run(statement, values) });
    return Number(row?.Changed);
  }
}
