// One turn of removing expired rows, by one sidecar at a time (dapr-state-stores.md 0.8, 8b).
import type { Runner } from "../sql/runner.ts";
import type { Session, Values } from "./session.ts";
import { CLEANUP_ROWS_MAX, changedIn, type Statement, type Statements } from "./statements.ts";

export interface CleanupParts {
  readonly runner: Runner<Session>;
  readonly sql: Statements;
  readonly intervalMs: number;
  /** The metadata table can tell who cleaned up last; else each sidecar does it. */
  readonly isShared: boolean;
}

/** Rejects with a StoreError. */
export async function cleanUp(parts: CleanupParts, signal: AbortSignal): Promise<void> {
  const { runner, sql, intervalMs, isShared } = parts;
  const change = async (statement: Statement, values: Values): Promise<number> =>
    changedIn(await runner.run({ effect: "write", signal, task: (session) => session.run(statement, values) }));
  const interval = { Seconds: Math.floor(intervalMs / 1000), Milliseconds: Math.round(intervalMs % 1000) };
  if (isShared && (await change(sql.claimCleanup, interval)) <= 0) return;
  // Step by step, so that no statement holds its locks for long.
  while ((await change(sql.cleanup, {})) === CLEANUP_ROWS_MAX);
}
