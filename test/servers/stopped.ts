// Whether a process has stopped after SIGSTOP: its threads stop one after the other, and one that still runs could answer.
// Only Linux tells; elsewhere nothing is waited for.
import { existsSync, readdirSync, readFileSync } from "node:fs";

const STOPPED_WITHIN_MS = 1000;

/** Returns when all threads have stopped. */
export function waitUntilStopped(pid: number | null): void {
  const folder = `/proc/${pid}/task`;
  if (pid === null || !existsSync(folder)) return;
  const isStopped = (thread: string): boolean => /\) T /.test(readFileSync(`${folder}/${thread}/stat`, "latin1"));
  const end = Date.now() + STOPPED_WITHIN_MS;
  while (!readdirSync(folder).every(isStopped))
    if (Date.now() > end) throw new Error(`process ${pid} still runs ${STOPPED_WITHIN_MS} ms after SIGSTOP`);
}
