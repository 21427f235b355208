// A real pgbouncer before a PostgreSQL server of the tests: private port on 127.0.0.1, own temporary folder. The program is
// that of PANNIER_TEST_PGBOUNCER_BIN, or from PATH, or Debian's.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { describeUnless } from "./local-server.ts";
import { asServersUser, postgresMissing } from "./postgresql.ts";
import { isRequired } from "./required.ts";

export type PoolMode = "session" | "transaction" | "statement";

export interface PgbouncerOptions {
  readonly mode: PoolMode;
  /** Port of the PostgreSQL server on 127.0.0.1, which trusts everybody. */
  readonly serverPort: number;
  /** Most connections to one database of the server. */
  readonly poolSize?: number;
  /** Clients have to speak TLS, by these PEM texts. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

export interface Pgbouncer {
  readonly port: number;
  kill9(): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Outside the PATH of many users. */
const DEBIAN = "/usr/sbin/pgbouncer";
const POOL_SIZE = 20;
const STARTS_MAX = 3;

function program(): string {
  return process.env.PANNIER_TEST_PGBOUNCER_BIN ?? (existsSync(DEBIAN) ? DEBIAN : "pgbouncer");
}

/**
 * Why there can be no pgbouncer here and what to do about it, or null when there is one. With `pgbouncer` among the words of
 * PANNIER_TEST_REQUIRE a missing one is no reason.
 */
export function pgbouncerMissing(): string | null {
  const { error } = spawnSync(program(), ["--version"], { stdio: "ignore" });
  if (error === undefined || isRequired("pgbouncer")) return postgresMissing();
  return `${program()} cannot be run (${error.message}): install it (Debian: apt-get install pgbouncer), or name it in PANNIER_TEST_PGBOUNCER_BIN`;
}

/** "PgBouncer 1.18.0" and what it was built with, as the program says. */
export function pgbouncerVersion(): string {
  const { stdout, error } = spawnSync(program(), ["--version"], { encoding: "utf8" });
  if (error !== undefined) throw new Error(`${program()} --version: ${error.message}`);
  return stdout;
}

/** A describe for tests that need one: where there can be none they are pending, with the reason in the title. */
export function describeWithPgbouncer(title: string, body: () => void): void {
  describeUnless(pgbouncerMissing(), title, body);
}

/** Starts one that takes the user postgres for any database. Whoever starts one stops it. */
export async function startPgbouncer(options: PgbouncerOptions): Promise<Pgbouncer> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-pgbouncer-"));
  // It may run as another user.
  await chmod(folder, 0o755);
  await writeFile(join(folder, "users.txt"), '"postgres" ""\n');
  const { tls } = options;
  if (tls !== undefined) {
    await writeFile(join(folder, "server.crt"), tls.certificate);
    await writeFile(join(folder, "server.key"), tls.key);
  }
  try {
    for (let start = 1; ; start++) {
      const port = await freePort();
      await writeFile(join(folder, "pgbouncer.ini"), configuration(options, port));
      const readyText = "process up: ";
      const server = new ChildServer({
        ...asServersUser(program(), ["pgbouncer.ini"]),
        cwd: folder,
        readyText,
        // It keeps nothing, and newer ones wait for their clients at any other signal.
        stopSignal: "SIGKILL",
      });
      try {
        await server.start();
        return {
          port,
          kill9: () => server.kill9(),
          start: () => server.start(),
          stop: async () => {
            await server.stop();
            await rm(folder, { recursive: true, force: true });
          },
        };
      } catch (error) {
        // Between the search for a free port and the start another process can have taken it.
        if (start === STARTS_MAX || !server.output.includes("Address already in use")) throw error;
      }
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function configuration({ mode, serverPort, tls, poolSize = POOL_SIZE }: PgbouncerOptions, port: number): string {
  const encrypted =
    "client_tls_sslmode = require\nclient_tls_cert_file = server.crt\nclient_tls_key_file = server.key\n";
  return `[databases]
* = host=127.0.0.1 port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = users.txt
pool_mode = ${mode}
default_pool_size = ${poolSize}
; Seconds after which it looks again for a server that was not there; 15 by itself.
server_login_retry = 1
${tls === undefined ? "" : encrypted}`;
}
