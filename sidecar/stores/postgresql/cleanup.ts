// How expired rows are removed, by one sidecar at a time (dapr-state-stores.md 0.8).
import type { CleanupSteps } from "../sql/cleanup.ts";
import type { Runner } from "../sql/runner.ts";
import type { Parameter, Session, Statement } from "./session.ts";
import { CLEANUP_ROWS_MAX, type Statements } from "./statements.ts";

export interface CleanupParts {
  readonly runner: Runner<Session>;
  readonly sql: Statements;
  /** Under which the metadata table keeps when the last cleanup was. */
  readonly key: string;
  readonly intervalMs: number;
}

/** Longest that one statement may take, however short the store's calls are. */
const STEP_MS_MAX = 600_000;

export function cleanupSteps({ runner, sql, key, intervalMs }: CleanupParts): CleanupSteps {
  const change = (signal: AbortSignal, statement: Statement, values: readonly Parameter[]): Promise<number> => {
    const task = async (session: Session): Promise<number> => (await session.run(statement, values)).count;
    return runner.run({ effect: "write", signal, timeoutMs: STEP_MS_MAX, task });
  };
  return {
    claim: async (signal) => (await change(signal, sql.claimCleanup, [key, Math.round(intervalMs)])) !== 0,
    remove: (signal) => change(signal, sql.cleanup, []),
    rowsMax: CLEANUP_ROWS_MAX,
  };
}
