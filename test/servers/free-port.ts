// TCP ports of 127.0.0.1 for servers that want a number before they listen. Each is handed out once, to one of all the
// test processes of this user, from a range that the system gives to no connection of its own accord: so nobody else is
// on it when the server comes, and nobody comes to a port on which a test wants silence.
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Below Linux's range for outgoing connections (32768 and up, ip(7)) and the node ports of Kubernetes (30000 and up). */
const FIRST = 12_000;
const COUNT = 18_000;
/** Processes start looking at different places: neighbours by number are this far apart. */
const STRIDE = 1_999;
/** A process that was killed leaves its claims: no test run lasts as long as this. */
const CLAIM_MS_MAX = 3 * 3_600_000;

const folder = join(tmpdir(), `pannier-test-ports-${process.getuid?.() ?? "all"}`);
const claimed: string[] = [];
let next = (process.pid * STRIDE) % COUNT;

/** Throws when none of the range is left. */
export async function freePort(): Promise<number> {
  if (claimed.length === 0) prepare();
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + next;
    next = (next + 1) % COUNT;
    if (claim(port) && (await nobodyListens(port))) return port;
  }
  throw new Error(`no port from ${FIRST} to ${FIRST + COUNT - 1} is free; see ${folder}`);
}

function prepare(): void {
  mkdirSync(folder, { recursive: true });
  const oldest = Date.now() - CLAIM_MS_MAX;
  for (const file of readdirSync(folder).map((name) => join(folder, name)))
    if ((statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? oldest) < oldest) rmSync(file, { force: true });
  process.once("exit", () => {
    for (const file of claimed) rmSync(file, { force: true });
  });
}

function claim(port: number): boolean {
  const file = join(folder, String(port));
  try {
    closeSync(openSync(file, "wx"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
  claimed.push(file);
  return true;
}

function nobodyListens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
