// Removes expired rows from time to time, one sidecar at a time (dapr-state-stores.md 0.8, 6b). They are not served either
// way.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Runner } from "./runner.ts";
import { CLEANUP_ROWS_MAX, type Statements } from "./statements.ts";

export interface CleanupOptions {
  readonly runner: Runner;
  readonly sql: Statements;
  readonly intervalMs: number;
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
    const { sql, intervalMs, log } = this.#options;
    try {
      const claimed = await this.#change(sql.claimCleanup, [String(Math.round(intervalMs))]);
      // Step by step, so that no statement holds its locks for long.
      while (claimed !== 0 && (await this.#change(sql.cleanup, [])) === CLEANUP_ROWS_MAX);
    } catch (error) {
      // Expired rows are not served, so the next turn is early enough.
      if (!this.#leaving.signal.aborted) log.warn("cleanup of expired rows failed", { cause: String(error) });
    }
    if (!this.#leaving.signal.aborted) this.#plan();
  }

  async #change(statement: Statements["cleanup"], values: readonly string[]): Promise<number> {
    const { signal } = this.#leaving;
    const { runner } = this.#options;
    return runner.run({
      effect: "write",
      signal,
      task: async (session) => (await session.run(statement, values)).changed,
    });
  }
}
