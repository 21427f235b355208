// Starts the real command line as a process of its own, in a folder of its own, and sees to its end.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const MAIN = join(import.meta.dirname, "../../cli/main.ts");
const DEADLINE_MS = 60_000;
const POLL_MS = 20;

export interface PannierOptions {
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Path of the file to run: the command line's source when not given. */
  readonly program?: string;
}

export class Pannier {
  readonly process: ChildProcess;
  /** The exit code, or the signal that ended the process. */
  readonly ended: Promise<number | string | null>;
  out = "";
  err = "";
  /** Set when it has ended and its output is read. */
  #end: number | string | null = null;

  constructor(argv: readonly string[], options: PannierOptions) {
    this.process = spawn(process.execPath, [options.program ?? MAIN, ...argv], {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout?.on("data", (chunk: Buffer) => {
      this.out += chunk.toString();
    });
    this.process.stderr?.on("data", (chunk: Buffer) => {
      this.err += chunk.toString();
    });
    this.ended = new Promise((resolve) => {
      this.process.on("close", (code, signal) => {
        this.#end = code ?? signal;
        resolve(this.#end);
      });
    });
  }

  /** Waits until stdout matches. Gives the match. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    let match = pattern.exec(this.out);
    await eventually(`${pattern} in the output`, () => {
      match = pattern.exec(this.out);
      if (match === null && this.#end !== null) throw new Error(`ended with ${this.#end}:\n${this.out}${this.err}`);
      return match !== null;
    });
    if (match === null) throw new Error("no match");
    return match;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }
}

/**
 * An environment in which the process sends itself this signal as soon as Node loads a file whose name ends like that;
 * before it runs `first`, a statement that may use `fs`.
 */
export function signalledWhenLoading(file: string, signal: NodeJS.Signals, first = ""): NodeJS.ProcessEnv {
  const hook = `import { registerHooks } from "node:module";
    import fs from "node:fs";
    registerHooks({
      load(url, context, nextLoad) {
        if (url.endsWith(${JSON.stringify(file)})) {
          ${first}
          process.kill(process.pid, ${JSON.stringify(signal)});
        }
        return nextLoad(url, context);
      },
    });`;
  return { NODE_OPTIONS: `--import="data:text/javascript,${encodeURIComponent(hook)}"` };
}

/** The processes and folders of one test file. */
export class Bench {
  readonly #started: Pannier[] = [];
  readonly #folders: string[] = [];

  start(argv: readonly string[], options: PannierOptions): Pannier {
    const started = new Pannier(argv, options);
    this.#started.push(started);
    return started;
  }

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "pannier-cli-"));
    this.#folders.push(folder);
    return folder;
  }

  async clear(): Promise<void> {
    for (const each of this.#started.splice(0)) {
      each.signal("SIGTERM");
      const ended = await Promise.race([each.ended.then(() => true), delay(DEADLINE_MS, false, { ref: false })]);
      if (!ended) each.signal("SIGKILL");
      await each.ended;
    }
    for (const folder of this.#folders.splice(0)) await rm(folder, { recursive: true });
  }
}

/** Polls until `holds`; fails with `what` after a deadline. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await delay(POLL_MS);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: nobody has this id.
    return false;
  }
}
