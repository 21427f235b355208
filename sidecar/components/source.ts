// Where Components come from, as the host sees it: folders of manifests, or the operator. Knows neither of them.
import type { FileProblem } from "../state/table.ts";
import type { LocatedComponent } from "./documents.ts";
import type { SourceProblem } from "./file-problem.ts";

/** One manifest file, or one resource that the operator sent. */
export interface SourceFile {
  /** What messages call it. */
  readonly path: string;
  /** Of the last content that could be used, and behind them the mistakes of what the file holds now. */
  readonly components: readonly LocatedComponent[];
  /** Why what the file holds now is not used, or not all of it; null when it is. */
  readonly problem: SourceProblem | null;
  /** What the file holds now cannot be used at all: the last good content counts instead. */
  readonly refused: boolean;
}

export interface ComponentSource {
  /** Reads everything for the first time. Rejects when that cannot be done. */
  start(): Promise<readonly SourceFile[]>;
  /** Begins to tell changes. */
  follow(): void;
  /** Reads everything now; gives the whole set, and whether it is another one. */
  readNow(): Promise<{ readonly files: readonly SourceFile[]; readonly changed: boolean }>;
  /** Has the change of these files told too; replaces the former ones. */
  alsoFollow(paths: readonly string[]): Promise<void>;
  /** As they were read last, in a lasting order. */
  files(): readonly SourceFile[];
  /** Of all that cannot be used as it is, as it is now. */
  problems(): readonly FileProblem[];
  close(): Promise<void>;
}
