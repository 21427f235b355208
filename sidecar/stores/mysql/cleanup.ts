// How expired rows are removed, by one sidecar at a time (dapr-state-stores.md 0.8, 6b).
import type { CleanupSteps } from "../sql/cleanup.ts";
import type { Runner } from "../sql/runner.ts";
import type { Parameter, Session, Statement } from "./session.ts";
import { CLEANUP_ROWS_MAX, type Statements } from "./statements.ts";

export interface CleanupParts {
  readonly runner: Runner<Session>;
  readonly sql: Statements;
  readonly intervalMs: number;
}

export function cleanupSteps({ runner, sql, intervalMs }: CleanupParts): CleanupSteps {
  const change = (signal: AbortSignal, statement: Statement, values: readonly Parameter[]): Promise<number> => {
    const task = async (session: Session): Promise<number> => (await session.run(statement, values)).changed;
    return runner.run({ effect: "write", signal, task });
  };
  return {
    claim: async (signal) => (await change(signal, sql.claimCleanup, [String(Math.round(intervalMs))])) !== 0,
    remove: (signal) => change(signal, sql.cleanup, []),
    rowsMax: CLEANUP_ROWS_MAX,
  };
}
