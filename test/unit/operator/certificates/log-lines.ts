// A log that keeps its lines, for tests that ask what was told.
import { createLog, type Log } from "#kit/log.ts";

export interface LogLines {
  readonly log: Log;
  readonly lines: string[];
}

export function keepLog(): LogLines {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const log = createLog({ level: "debug", json: true, appId: "", instance: "", version: "", write, nowMs: () => 0 });
  return { log, lines };
}
