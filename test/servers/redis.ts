// Real Redis servers for tests: private port on 127.0.0.1, own temporary folder, no file kept unless asked for.
// The program is redis-server from PATH, or what PANNIER_TEST_REDIS_SERVER names.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "./certificates.ts";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { isRequired } from "./required.ts";

export interface RedisOptions {
  /** What runs in place of redis-server, with its first arguments; it has to be there. */
  readonly program?: readonly string[];
  /** More arguments for redis-server; they win over the ones set here. */
  readonly args?: readonly string[];
  /** Lines of an ACL file, as in `user app on >secret ~* +@all`. */
  readonly acl?: readonly string[];
  /** Keep an append-only file, synced on every write: what was acknowledged survives kill9 and restart. */
  readonly appendOnly?: boolean;
  /** Speak TLS only; `clientCertificates` makes the server demand one that the same authority signed. */
  readonly tls?: { readonly certificates: Certificates; readonly clientCertificates: boolean };
}

export interface RedisServer {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Where its files are; gone after `stop`. */
  readonly folder: string;
  kill9(): Promise<void>;
  /** SIGSTOP: the port still accepts, nothing answers. */
  pause(): void;
  resume(): void;
  /** Starts it again on the same port and folder, after kill9 or while it runs. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const STARTS_MAX = 3;

/** The program that runs servers and sentinels. */
export function redisProgram(): string {
  return process.env.PANNIER_TEST_REDIS_SERVER ?? "redis-server";
}

/**
 * Why there can be no Redis here and what to do about it, or null when there is one. With PANNIER_TEST_REQUIRE=redis a
 * missing one is no reason: null, and `startRedis` fails, so that CI cannot skip in silence.
 */
export function redisMissing(): string | null {
  return isRequired("redis") ? null : whyMissing();
}

function whyMissing(): string | null {
  const { error } = spawnSync(redisProgram(), ["--version"], { stdio: "ignore" });
  if (error === undefined) return null;
  return `${redisProgram()} cannot be run (${error.message}): install it (Debian: apt-get install redis-server), or name its path in PANNIER_TEST_REDIS_SERVER`;
}

/** A describe for tests that need a Redis: where there can be none they are pending, with the reason in the title. */
export function describeWithRedis(title: string, body: (this: Mocha.Suite) => void): void {
  const missing = redisMissing();
  if (missing === null) describe(title, body);
  else describe.skip(`${title} (not run: ${missing})`, body);
}

/** Starts a server and resolves when it takes commands. Whoever starts one stops it. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const missing = options.program === undefined ? whyMissing() : null;
  if (missing !== null) throw new Error(missing);
  const [command = redisProgram(), ...first] = options.program ?? [];
  const folder = await mkdtemp(join(tmpdir(), "pannier-redis-"));
  if (options.acl !== undefined) await writeFile(join(folder, "users.acl"), `${options.acl.join("\n")}\n`);
  for (let start = 1; ; start++) {
    const port = await freePort();
    const server = new ChildServer({
      command,
      args: [...first, ...serverArgs(options, port)],
      cwd: folder,
      readyText: "Ready to accept connections",
    });
    try {
      await server.start();
      return running(server, port, folder);
    } catch (error) {
      // Between the search for a free port and the start another process can have taken it.
      if (start < STARTS_MAX && server.output.includes("Address already in use")) continue;
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }
}

function running(server: ChildServer, port: number, folder: string): RedisServer {
  return {
    host: "127.0.0.1",
    port,
    folder,
    kill9: () => server.kill9(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    restart: async () => {
      await server.stop();
      await server.start();
    },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function serverArgs(options: RedisOptions, port: number): string[] {
  const args = ["--bind", "127.0.0.1", "--daemonize", "no", "--logfile", "", "--save", ""];
  args.push("--repl-diskless-sync-delay", "0");
  if (options.tls === undefined) args.push("--port", String(port));
  else args.push("--port", "0", "--tls-port", String(port), ...tlsArgs(options.tls));
  if (options.acl !== undefined) args.push("--aclfile", "users.acl");
  if (options.appendOnly === true) args.push("--appendonly", "yes", "--appendfsync", "always");
  args.push(...(options.args ?? []));
  return args;
}

function tlsArgs(tls: NonNullable<RedisOptions["tls"]>): string[] {
  const { authorityFile, serverCertificateFile, serverKeyFile } = tls.certificates;
  return [
    ...["--tls-ca-cert-file", authorityFile],
    ...["--tls-cert-file", serverCertificateFile],
    ...["--tls-key-file", serverKeyFile],
    ...["--tls-auth-clients", tls.clientCertificates ? "yes" : "no"],
  ];
}
