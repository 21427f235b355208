// Removes expired rows from time to time, one sidecar at a time (dapr-state-stores.md 0.8). They are not served either way.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Runner } from "./runner.ts";
import { CLEANUP_ROWS_MAX, type Statements } from "./statements.ts";

export interface CleanupOptions {
  readonly runner: Runner;
  readonly sql: Statements;
  /** Under which the metadata table keeps when the last one was. */
  readonly key: string;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Longest that one step may take. */
const STEP_MS_MAX = 600_000;

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
    const { runner, sql, key, intervalMs, log } = this.#options;
    const { signal } = this.#leaving;
    const step = (task: Parameters<Runner["run"]>[0]["task"]): Promise<unknown> =>
      runner.run({ effect: "write", signal, timeoutMs: STEP_MS_MAX, task });
    try {
      let removed = 0;
      const claimed = await step(
        async (session) => (await session.run(sql.claimCleanup, [key, Math.round(intervalMs)])).count,
      );
      // Step by step, so that no statement holds its locks for long.
      if (claimed !== 0)
        do removed = Number(await step(async (session) => (await session.run(sql.cleanup)).count));
        while (removed === CLEANUP_ROWS_MAX);
    } catch (error) {
      // Expired rows are not served, so the next turn is early enough.
      if (!signal.aborted) log.warn("cleanup of expired rows failed", { cause: String(error) });
    }
    if (!signal.aborted) this.#plan();
  }
}
