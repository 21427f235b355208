// The app that `pannier run` starts: one process group of our own making, its output, its end. Knows no sidecar.
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { finished } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "#kit/clock.ts";
import type { Host } from "../host.ts";
import { RunFailure, reason, systemCode } from "./failure.ts";
import { LinePrefix } from "./line-prefix.ts";

/** What a shell answers when a command is not there, or cannot be run. */
const EXIT_NOT_FOUND = 127;
const EXIT_NOT_RUNNABLE = 126;
const EXIT_SIGNAL = 128;

/** How long the app, and then what it leaves behind, may take to end before it is killed. */
export const APP_GRACE_MS = 5_000;
/** How long output may still come once all is ended: somebody outside the group may hold the pipe open. */
const OUTPUT_DRAIN_MS = 1_000;
const POLL_MS = 20;

export interface AppOptions {
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** What stands before a line on stdout, and on stderr. */
  readonly prefixes: readonly [string, string];
}

export class App {
  /** The exit code; 128 and the number of the signal that ended it. Rejects with RunFailure when it cannot start. */
  readonly exited: Promise<number>;
  readonly #child: ChildProcess;
  readonly #outputs: readonly LinePrefix[];
  #leaderGone = false;

  /** Starts the app without a shell, in a process group of its own, so that what it starts can be ended with it. */
  constructor(options: AppOptions, host: Host) {
    const [file = "", ...args] = options.command;
    this.#child = spawn(file, args, {
      env: options.env,
      cwd: options.cwd,
      stdio: ["inherit", "pipe", "pipe"],
      detached: true,
    });
    this.#outputs = [new LinePrefix(options.prefixes[0]), new LinePrefix(options.prefixes[1])];
    this.#child.stdout?.pipe(this.#outputs[0] as LinePrefix).pipe(host.stdout, { end: false });
    this.#child.stderr?.pipe(this.#outputs[1] as LinePrefix).pipe(host.stderr, { end: false });
    this.exited = this.#watch(file);
    // Whatever ends this process, an error of ours included, does not leave the app behind.
    process.on("exit", this.kill);
  }

  /**
   * Ends the app: the signal, a grace for the app itself, SIGTERM and a grace for what it left behind, SIGKILL.
   * Resolves when the group is gone and its output is written.
   */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#send(signal);
    if (await within(this.exited, APP_GRACE_MS)) {
      this.#send("SIGTERM");
      if (!(await this.#groupGone(APP_GRACE_MS))) this.kill();
    } else {
      this.kill();
      await within(this.exited, APP_GRACE_MS);
    }
    process.off("exit", this.kill);
    await this.#drainOutput();
  }

  /** Ends the whole group at once. */
  readonly kill = (): void => {
    this.#send("SIGKILL");
  };

  #watch(file: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#child.on("error", (error) => {
        this.#leaderGone = true;
        process.off("exit", this.kill);
        reject(cannotStart(file, error));
      });
      this.#child.on("exit", (code, signal) => {
        this.#leaderGone = true;
        resolve(code ?? EXIT_SIGNAL + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  }

  /** Sends a signal to the group; 0 only asks. False when nobody is there, or nobody that we may signal. */
  #send(signal: NodeJS.Signals | 0): boolean {
    if (this.#child.pid === undefined) return false;
    try {
      process.kill(-this.#child.pid, signal);
      return true;
    } catch (error) {
      // EPERM: only members that changed their user, or on macOS only dead ones, are left.
      if (["ESRCH", "EPERM"].includes(systemCode(error))) return false;
      throw error;
    }
  }

  async #groupGone(limitMs: number): Promise<boolean> {
    const endMs = systemClock.monotonicMs() + limitMs;
    while (!this.#leaderGone || this.#send(0)) {
      if (systemClock.monotonicMs() >= endMs) return false;
      await delay(POLL_MS);
    }
    return true;
  }

  async #drainOutput(): Promise<void> {
    const ended = this.#outputs.map((output) => finished(output, { writable: false, cleanup: true }));
    if (await within(Promise.all(ended), OUTPUT_DRAIN_MS)) return;
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
    for (const output of this.#outputs) output.end();
    await within(Promise.all(ended), OUTPUT_DRAIN_MS);
  }
}

function cannotStart(file: string, error: Error): RunFailure {
  const code = systemCode(error);
  const name = JSON.stringify(file);
  if (code === "ENOENT") return new RunFailure(`cannot start ${name}: no such command`, EXIT_NOT_FOUND);
  if (code === "EACCES") return new RunFailure(`cannot start ${name}: it is not executable`, EXIT_NOT_RUNNABLE);
  return new RunFailure(`cannot start ${name}: ${reason(error)}`, EXIT_NOT_RUNNABLE);
}

/** True when `work` ends within the limit, false when it does not. Passes a rejection on. */
async function within(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  const leave = new AbortController();
  const late = delay(limitMs, false, { signal: leave.signal });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    late.catch(() => undefined);
    leave.abort();
  }
}
