// A server program as a child process: started until it says that it is ready, paused, killed, stopped.
// Knows no particular server. What a test run leaves behind is killed when the run ends.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { waitUntilStopped } from "./stopped.ts";

export interface ChildServerOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The server is ready once its output holds this. */
  readonly readyText: string;
  /** What tells it to end soon and in its own way; SIGTERM when not given. */
  readonly stopSignal?: NodeJS.Signals;
  /** How long it may take until then; 60 s when not given. */
  readonly readyWithinMs?: number;
}

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 5_000;
const OUTPUT_KEPT = 4_000;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class ChildServer {
  readonly #options: ChildServerOptions;
  #child: ChildProcess | null = null;
  #output = "";

  constructor(options: ChildServerOptions) {
    this.#options = options;
  }

  /** The last lines that the server wrote. */
  get output(): string {
    return this.#output;
  }

  /** Of the process; null while there is none. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Resolves when the server is ready; rejects with its output when it ends first or takes too long. */
  start(): Promise<void> {
    const { command, args, cwd, readyText, readyWithinMs = READY_WITHIN_MS } = this.#options;
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#output = "";
    running.add(child);
    child.once("exit", () => running.delete(child));
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        child.kill("SIGKILL");
        reject(new Error(`${command}: ${why}\n${this.#output}`));
      };
      const leave = (code: number | null, signal: string | null): void =>
        fail(`ended with ${code ?? signal} before it was ready`);
      const timer = setTimeout(() => fail(`not ready within ${readyWithinMs} ms`), readyWithinMs);
      const read = (chunk: Buffer): void => {
        this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_KEPT);
        if (!this.#output.includes(readyText)) return;
        clearTimeout(timer);
        child.removeListener("exit", leave);
        resolve();
      };
      child.stdout?.on("data", read);
      child.stderr?.on("data", read);
      child.once("error", (error) => fail(error.message));
      child.once("exit", leave);
    });
  }

  /** Stops it in the middle of everything, as a pulled plug does to the process. */
  kill9(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** The process stays, its port accepts, nothing answers any more once this returns. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
    waitUntilStopped(this.pid);
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Ends it in its own way; by force when it takes too long. May be called again. */
  async stop(): Promise<void> {
    this.resume();
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), STOP_WITHIN_MS);
    await this.#end(this.#options.stopSignal ?? "SIGTERM");
    clearTimeout(timer);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}
