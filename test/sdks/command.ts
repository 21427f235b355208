// A command line as a reader types it, run without a shell: its output, its exit code, and an end of all that it started.
import { type ChildProcess, spawn } from "node:child_process";

export interface Finished {
  readonly code: number | null;
  /** stdout and stderr as they came. */
  readonly output: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Killed, with all that it started, when it takes longer. */
  readonly withinMs: number;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) killGroup(child);
});

/** Runs one command; words are separated by single blanks. Rejects when the program is not there or takes too long. */
export function runCommand(line: string, { cwd, env, withinMs }: CommandOptions): Promise<Finished> {
  const [program = "", ...args] = line.split(" ");
  // In a process group of its own: npm does not pass a kill on to what it runs.
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      killGroup(child);
      reject(new Error(`${line}: not done within ${withinMs} ms\n${output}`));
    }, withinMs);
    child.once("error", (error) => {
      clearTimeout(timer);
      running.delete(child);
      reject(error);
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, output });
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // ESRCH: the group has ended by itself.
  }
}
