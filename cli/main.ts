#!/usr/bin/env node
// The process: hands its command line, signals and streams to the verb and ends with the code that the verb gives.
// Built, it is a file that an old Node can read, so that one says that it is too old: nothing is imported at its head.
// From the source, the npm scripts bring their own Node.

/** As in package.json, "engines". */
const NODE_MAJOR_MIN = 24;
/** The longest delay that a timer takes. */
const NEVER_MS = 2 ** 31 - 1;

async function main(): Promise<void> {
  // Timers of the sidecar do not keep a process alive, and while it drains there may be nothing else that does.
  const alive = setInterval(() => undefined, NEVER_MS);
  // A signal has to wait for its verb, so the rest is loaded when somebody listens.
  const signals = (await import("./signals.ts")).holdSignals();
  const { dispatch } = await import("./dispatch.ts");
  const code = await dispatch(process.argv.slice(2), {
    env: process.env,
    cwd: process.cwd(),
    stdin: () => process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signals,
  });
  clearInterval(alive);
  // A verb that was cut short leaves things open, so the process is ended, once what was printed has gone out.
  process.exitCode = code;
  process.stdout.write("", () => process.exit(code));
}

if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN) {
  void main();
} else {
  process.stderr.write(`pannier: got Node ${process.versions.node}, want ${NODE_MAJOR_MIN} or newer\n`);
  process.exitCode = 1;
}
