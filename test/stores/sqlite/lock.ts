// The write lock of a SQLite file in the hands of another process.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const HOLDER = fileURLToPath(new URL("./lock-holder-child.ts", import.meta.url));

export interface HeldLock {
  /** Resolves when the lock is free. */
  release(): Promise<void>;
  /** Ends the process that holds it, if it has not ended. */
  kill(): void;
}

/** Resolves when another process has the write lock of the file at `path`; rejects when that process ends without it. */
export async function lockElsewhere(path: string): Promise<HeldLock> {
  const holder = fork(HOLDER, [path]);
  const exited = once(holder, "exit").then(([code, signal]) => {
    if (code !== 0) throw new Error(`the holder of the lock ended with ${String(code ?? signal)}`);
  });
  await Promise.race([once(holder, "message"), exited]);
  return {
    release: async () => {
      holder.send("go");
      await exited;
    },
    kill: () => {
      // It ends by our signal, which is no failure of anybody.
      exited.catch(() => undefined);
      holder.kill("SIGKILL");
    },
  };
}
