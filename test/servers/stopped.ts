// Whether a process has stopped after SIGSTOP: its threads stop one after the other, and one that still runs could answer.
// Only Linux tells; elsewhere nothing is waited for.
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** On a busy machine a thread that is asleep stops when its turn comes, which can take a while. */
const STOPPED_WITHIN_MS = 30_000;

/** Returns when all threads have stopped, or have ended. Throws when one still runs after 30 s. */
export function waitUntilStopped(pid: number | null): void {
  const folder = `/proc/${pid}/task`;
  if (pid === null || !existsSync(folder)) return;
  const end = Date.now() + STOPPED_WITHIN_MS;
  while (!threadsOf(folder).every((thread) => isStopped(`${folder}/${thread}/stat`)))
    if (Date.now() > end) throw new Error(`process ${pid} still runs ${STOPPED_WITHIN_MS} ms after SIGSTOP`);
}

function threadsOf(folder: string): readonly string[] {
  return withoutMissing(() => readdirSync(folder), []);
}

/** T: stopped; Z and X: it has ended, and nobody has looked yet. */
function isStopped(stat: string): boolean {
  return withoutMissing(() => /\) [TtZX] /.test(readFileSync(stat, "latin1")), true);
}

/** What `read` gives, or `instead` where the thread has ended meanwhile. */
function withoutMissing<T>(read: () => T, instead: T): T {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT" || code === "ESRCH") return instead;
    throw error;
  }
}
