// Real Redis servers for tests: private port on 127.0.0.1, own temporary folder, no file kept unless asked for.
// The program is redis-server from PATH, or what PANNIER_TEST_REDIS_SERVER names.
import { spawnSync } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificates } from "./certificates.ts";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startOnePlanned } from "./local-server.ts";
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

export interface RedisServer extends LocalServer {
  /** Where its files are; gone after `stop`. */
  readonly folder: string;
}

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
  describeUnless(redisMissing(), title, body);
}

/** Starts a server and resolves when it takes commands. Whoever starts one stops it. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const missing = options.program === undefined ? whyMissing() : null;
  if (missing !== null) throw new Error(missing);
  const [command = redisProgram(), ...first] = options.program ?? [];
  return startOnePlanned(async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-redis-"));
    if (options.acl !== undefined) await writeFile(join(folder, "users.acl"), `${options.acl.join("\n")}\n`);
    const port = await freePort();
    const child = new ChildServer({
      command,
      args: [...first, ...serverArgs(options, port)],
      cwd: folder,
      readyText: "Ready to accept connections",
    });
    return { child, server: { ...localServer({ child, port, folder }), folder } };
  });
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
