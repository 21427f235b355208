#!/usr/bin/env node
// The process: hands its command line and streams to the verb and ends with the code that the verb gives.
import { dispatch } from "./dispatch.ts";

/** The longest delay that a timer takes. */
const NEVER_MS = 2 ** 31 - 1;

// Timers of the sidecar do not keep a process alive, and while it drains there may be nothing else that does.
const alive = setInterval(() => undefined, NEVER_MS);
const code = await dispatch(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
});
clearInterval(alive);
// A verb that was cut short leaves things open, so the process is ended, once what was printed has gone out.
process.exitCode = code;
process.stdout.write("", () => process.exit(code));
