// How expired rows are removed, by one sidecar at a time (dapr-state-stores.md 0.8, 8b).
import type { CleanupSteps } from "../sql/cleanup.ts";
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

export function cleanupSteps({ runner, sql, intervalMs, isShared }: CleanupParts): CleanupSteps {
  const change = async (signal: AbortSignal, statement: Statement, values: Values): Promise<number> =>
    changedIn(await runner.run({ effect: "write", signal, task: (session) => session.run(statement, values) }));
  const interval = { Seconds: Math.floor(intervalMs / 1000), Milliseconds: Math.round(intervalMs % 1000) };
  return {
    claim: async (signal) => !isShared || (await change(signal, sql.claimCleanup, interval)) > 0,
    remove: (signal) => change(signal, sql.cleanup, {}),
    rowsMax: CLEANUP_ROWS_MAX,
  };
}
