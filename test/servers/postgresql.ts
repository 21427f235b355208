// Real PostgreSQL servers for tests: private port on 127.0.0.1, own temporary folder, nothing flushed to the disk. The
// programs are those of PANNIER_TEST_POSTGRES_BIN, or of the newest folder under /usr/lib/postgresql, or from PATH.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { describeUnless } from "./local-server.ts";
import { isRequired } from "./required.ts";
import { waitUntilStopped } from "./stopped.ts";

export interface PostgresOptions {
  /** Settings for the server, as in `{ max_connections: "20" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Of the databases; "C.UTF-8" when not given. */
  readonly locale?: string;
  /** The password of the user postgres; without one everybody is trusted. */
  readonly password?: string;
}

export interface PostgresServer {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Where its files are; gone after `stop`. */
  readonly folder: string;
  /** A connection string for this database, "postgres" when none is named; through `port` in place of the server's own. */
  url(database?: string, port?: number): string;
  /** Runs statements in a database as the superuser, one after the other, and gives the rows of the last. */
  query(
    text: string,
    values?: readonly unknown[],
    database?: string,
  ): Promise<readonly Readonly<Record<string, unknown>>[]>;
  kill9(): Promise<void>;
  /** SIGSTOP to every process of it: ports still accept, nothing answers. */
  pause(): void;
  resume(): void;
  /** Starts it again on the same port and folder, after kill9 or while it runs. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const STARTS_MAX = 3;
const DEBIAN = "/usr/lib/postgresql";
/** postgres refuses to run as root; this user comes with Debian's package. */
const USER = "postgres";

/** The folder of initdb and postgres, "" for PATH. */
function programs(): string {
  const named = process.env.PANNIER_TEST_POSTGRES_BIN;
  if (named !== undefined) return named;
  const versions = existsSync(DEBIAN)
    ? readdirSync(DEBIAN).filter((each) => existsSync(join(DEBIAN, each, "bin/postgres")))
    : [];
  const newest = versions.sort((left, right) => Number(left) - Number(right)).at(-1);
  return newest === undefined ? "" : join(DEBIAN, newest, "bin");
}

/**
 * Why there can be no PostgreSQL here and what to do about it, or null when there is one. With `postgresql` among the
 * words of PANNIER_TEST_REQUIRE a missing one is no reason, so that CI cannot skip in silence.
 */
export function postgresMissing(): string | null {
  return isRequired("postgresql") ? null : whyMissing();
}

function whyMissing(): string | null {
  for (const program of ["initdb", "postgres"]) {
    const { error } = spawnSync(join(programs(), program), ["--version"], { stdio: "ignore" });
    if (error !== undefined)
      return `${program} cannot be run (${error.message}): install it (Debian: apt-get install postgresql), or name its folder in PANNIER_TEST_POSTGRES_BIN`;
  }
  const known = !isRoot() || spawnSync("id", [USER], { stdio: "ignore" }).status === 0;
  return known ? null : `root cannot run postgres, and there is no user ${USER} to run it as`;
}

/** A describe for tests that need a PostgreSQL: where there can be none they are pending, with the reason in the title. */
export function describeWithPostgres(title: string, body: () => void): void {
  describeUnless(postgresMissing(), title, body);
}

/** Whether this process may become the user who runs servers that refuse to run as root, and has to. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/** A command line that runs a program as the user who may; its process is the program's own. */
export function asServersUser(path: string, args: readonly string[]): CommandLine {
  if (!isRoot()) return { command: path, args };
  return { command: "setpriv", args: [`--reuid=${USER}`, `--regid=${USER}`, "--clear-groups", path, ...args] };
}

function commandLine(program: string, args: readonly string[]): CommandLine {
  return asServersUser(join(programs(), program), args);
}

/** Starts a server and resolves when it takes connections. Whoever starts one stops it. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const missing = whyMissing();
  if (missing !== null) throw new Error(missing);
  const folder = await mkdtemp(join(tmpdir(), "pannier-postgresql-"));
  if (isRoot()) spawnSync("chown", [USER, folder]);
  try {
    initialize(folder, options);
    for (let start = 1; ; start++) {
      const port = await freePort();
      const server = new ChildServer({
        ...commandLine("postgres", serverArgs(folder, port, options)),
        cwd: folder,
        readyText: "database system is ready to accept connections",
        // A fast shutdown: it waits for nobody.
        stopSignal: "SIGINT",
      });
      try {
        await server.start();
        return running(server, port, folder, options);
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

function initialize(folder: string, options: PostgresOptions): void {
  const args = ["-D", "data", "-A", options.password === undefined ? "trust" : "scram-sha-256", "-N", "-U", USER];
  args.push("--encoding=UTF8", `--locale=${options.locale ?? "C.UTF-8"}`, "--no-instructions");
  if (options.password !== undefined) {
    writeFileSync(join(folder, "password"), options.password);
    args.push("--pwfile=password");
  }
  const line = commandLine("initdb", args);
  const { status, stderr } = spawnSync(line.command, line.args, {
    cwd: folder,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`initdb: ${stderr}`);
}

function serverArgs(folder: string, port: number, { settings = {} }: PostgresOptions): string[] {
  const all = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder,
    fsync: "off",
    full_page_writes: "off",
    // Fewer processes to start and to stop.
    autovacuum: "off",
    ...settings,
  };
  const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return ["-D", "data", "-p", String(port), ...flags];
}

function running(server: ChildServer, port: number, folder: string, { password }: PostgresOptions): PostgresServer {
  const url = (database = "postgres", through = port): string =>
    `postgres://${USER}${password === undefined ? "" : `:${encodeURIComponent(password)}`}@127.0.0.1:${through}/${database}`;
  return {
    host: "127.0.0.1",
    port,
    folder,
    url,
    query: async (text, values = [], database = "postgres") => {
      const client = new Client({ connectionString: url(database) });
      await client.connect();
      try {
        const result = await client.query(text, [...values]);
        return (Array.isArray(result) ? result.at(-1) : result).rows;
      } finally {
        await client.end();
      }
    },
    kill9: async () => {
      // The server's children would notice only when they next look up, and keep its memory until then.
      const children = childrenOf(server.pid);
      await server.kill9();
      signalAll(children, "SIGKILL");
    },
    pause: () => {
      server.pause();
      const children = childrenOf(server.pid);
      signalAll(children, "SIGSTOP");
      for (const child of children) waitUntilStopped(child);
    },
    resume: () => {
      signalAll(childrenOf(server.pid), "SIGCONT");
      server.resume();
    },
    restart: async () => {
      await server.stop();
      await startAgain(server);
    },
    stop: async () => {
      signalAll(childrenOf(server.pid), "SIGCONT");
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The processes that a server has for its connections and its own work. */
function childrenOf(pid: number | null): readonly number[] {
  if (pid === null) return [];
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    // The server has ended.
    return [];
  }
}

const START_AGAIN_MS = 10_000;
const START_PAUSE_MS = 100;

/** After a kill the shared memory of the old server is free only when its last process is gone. */
async function startAgain(server: ChildServer): Promise<void> {
  const end = Date.now() + START_AGAIN_MS;
  for (;;) {
    try {
      await server.start();
      return;
    } catch (error) {
      if (Date.now() > end || !server.output.includes("still in use")) throw error;
      await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS));
    }
  }
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}
