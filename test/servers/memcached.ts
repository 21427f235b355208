// Real memcached servers for tests: private port on 127.0.0.1. The program is memcached from PATH, or what
// PANNIER_TEST_MEMCACHED_SERVER names. What it holds is gone with its process.
import { spawnSync } from "node:child_process";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startOnePlanned } from "./local-server.ts";
import { isRequired } from "./required.ts";

/** It comes back empty. */
export interface MemcachedServer extends LocalServer {
  /** "127.0.0.1:11211", as in `hosts`. */
  readonly address: string;
  /** Sends lines over a connection of its own and gives what comes back up to the answer to the last one, `mn`. */
  raw(lines: string): Promise<string>;
}

function program(): string {
  return process.env.PANNIER_TEST_MEMCACHED_SERVER ?? "memcached";
}

/**
 * Why there can be no memcached here and what to do about it, or null when there is one. With
 * PANNIER_TEST_REQUIRE=memcached a missing one is no reason: null, and `startMemcached` fails.
 */
export function memcachedMissing(): string | null {
  return isRequired("memcached") ? null : whyMissing();
}

function whyMissing(): string | null {
  const { error } = spawnSync(program(), ["--version"], { stdio: "ignore" });
  if (error === undefined) return null;
  return `${program()} cannot be run (${error.message}): install it (Debian: apt-get install memcached), or name its path in PANNIER_TEST_MEMCACHED_SERVER`;
}

/** A describe for tests that need a memcached: where there can be none they are pending, with the reason in the title. */
export function describeWithMemcached(title: string, body: () => void): void {
  describeUnless(memcachedMissing(), title, body);
}

/** Starts a server and resolves when it takes commands. `args` win over the ones set here. Whoever starts one stops it. */
export async function startMemcached(args: readonly string[] = []): Promise<MemcachedServer> {
  const missing = whyMissing();
  if (missing !== null) throw new Error(missing);
  return startOnePlanned(async () => {
    const port = await freePort();
    // It refuses to run as root, and says nothing unless it is asked to tell of every connection.
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    const child = new ChildServer({
      command: program(),
      args: ["-l", "127.0.0.1", "-p", String(port), "-U", "0", "-m", "256", "-vv", ...user, ...args],
      cwd: tmpdir(),
      readyText: "server listening",
      // It has nothing to put away, and takes a second for a farewell.
      stopSignal: "SIGKILL",
    });
    const address = `127.0.0.1:${port}`;
    return { child, server: { ...localServer({ child, port }), address, raw: (lines: string) => raw(port, lines) } };
  });
}

function raw(port: number, lines: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${lines}mn\r\n`, "latin1"));
    let answer = "";
    socket.once("error", reject);
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
      if (!answer.endsWith("MN\r\n")) return;
      socket.destroy();
      resolve(answer.slice(0, -"MN\r\n".length));
    });
  });
}
