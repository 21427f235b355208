// One turn of removing expired rows, by one sidecar at a time (dapr-state-stores.md 0.8, 6b).
import type { Runner } from "../sql/runner.ts";
import type { Session } from "./session.ts";
import { CLEANUP_ROWS_MAX, type Statements } from "./statements.ts";

export interface CleanupParts {
  readonly runner: Runner<Session>;
  readonly sql: Statements;
  readonly intervalMs: number;
}

/** Rejects with a StoreError. */
export async function cleanUp({ runner, sql, intervalMs }: CleanupParts, signal: AbortSignal): Promise<void> {
  const change = (statement: Statements["cleanup"], values: readonly string[]): Promise<number> =>
    runner.run({ effect: "write", signal, task: async (session) => (await session.run(statement, values)).changed });
  const claimed = await change(sql.claimCleanup, [String(Math.round(intervalMs))]);
  // Step by step, so that no statement holds its locks for long.
  while (claimed !== 0 && (await change(sql.cleanup, [])) === CLEANUP_ROWS_MAX);
}
