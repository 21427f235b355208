// Real MariaDB servers for tests: private port on 127.0.0.1, own temporary folder. The programs are those of
// PANNIER_TEST_MARIADB_BIN or from PATH. MySQL 8 is in no package registry: its tests run against the server whose
// connection string PANNIER_TEST_MYSQL_URL holds, as `user:password@tcp(host:3306)/`.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, createConnection } from "mysql2";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startOnePlanned } from "./local-server.ts";
import { isRequired } from "./required.ts";

export interface MysqlOptions {
  /** More arguments for mariadbd; they win over the ones set here. */
  readonly args?: readonly string[];
}

type Rows = readonly Readonly<Record<string, unknown>>[];

export interface MysqlServer extends LocalServer {
  /** Where its files are; gone after `stop`. */
  readonly folder: string;
  /** A connection string for root, who has no password; through `port` in place of the server's own. */
  dsn(parameters?: string, port?: number): string;
  /** Runs a statement as root in a schema, or in none, and gives its rows. */
  query(text: string, values?: readonly unknown[], schema?: string): Promise<Rows>;
  /** A connection of root's own. */
  connect(schema?: string): Connection;
}

/** mariadbd refuses to run as root unless told; this user comes with Debian's package. */
const USER = "mysql";

function program(name: string): string {
  const folder = process.env.PANNIER_TEST_MARIADB_BIN;
  return folder === undefined ? name : join(folder, name);
}

/**
 * Why there can be no MariaDB here and what to do about it, or null when there is one. With `mysql` among the words of
 * PANNIER_TEST_REQUIRE a missing one is no reason, so that CI cannot skip in silence.
 */
export function mysqlMissing(): string | null {
  return isRequired("mysql") ? null : whyMissing();
}

function whyMissing(): string | null {
  for (const name of ["mariadb-install-db", "mariadbd"]) {
    const { error } = spawnSync(program(name), ["--help"], { stdio: "ignore" });
    if (error !== undefined)
      return `${name} cannot be run (${error.message}): install it (Debian: apt-get install mariadb-server), or name its folder in PANNIER_TEST_MARIADB_BIN`;
  }
  const known = !isRoot() || spawnSync("id", [USER], { stdio: "ignore" }).status === 0;
  return known ? null : `root cannot run mariadbd, and there is no user ${USER} to run it as`;
}

/** The connection string of a MySQL 8 server, or why there is none. */
export function addressedMysql(): { readonly dsn: string } | { readonly missing: string } {
  const dsn = process.env.PANNIER_TEST_MYSQL_URL ?? "";
  return dsn === "" ? { missing: "MySQL 8 by address: name one in PANNIER_TEST_MYSQL_URL" } : { dsn };
}

/** A describe for tests that need a MariaDB: where there can be none they are pending, with the reason in the title. */
export function describeWithMysql(title: string, body: () => void): void {
  describeUnless(mysqlMissing(), title, body);
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Starts a server and resolves when it takes connections. Whoever starts one stops it. */
export async function startMysql(options: MysqlOptions = {}): Promise<MysqlServer> {
  const missing = whyMissing();
  if (missing !== null) throw new Error(missing);
  return startOnePlanned(async () => {
    const folder = await initialized();
    const port = await freePort();
    const child = new ChildServer({
      command: program("mariadbd"),
      args: serverArgs(folder, port, options),
      cwd: folder,
      readyText: "ready for connections",
    });
    return { child, server: running(child, port, folder) };
  });
}

function userArgs(): readonly string[] {
  return isRoot() ? [`--user=${USER}`] : [];
}

/** A new folder with empty data in it. */
async function initialized(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-mysql-"));
  if (isRoot()) spawnSync("chown", [USER, folder]);
  const args = ["--no-defaults", `--datadir=${join(folder, "data")}`, "--auth-root-authentication-method=normal"];
  const all = [...args, "--skip-test-db", ...userArgs()];
  const { status, stdout, stderr } = spawnSync(program("mariadb-install-db"), all, { cwd: folder, encoding: "utf8" });
  if (status === 0) return folder;
  await rm(folder, { recursive: true, force: true });
  throw new Error(`mariadb-install-db: ${stdout}${stderr}`);
}

function serverArgs(folder: string, port: number, { args = [] }: MysqlOptions): string[] {
  return [
    "--no-defaults",
    `--datadir=${join(folder, "data")}`,
    `--socket=${join(folder, "socket")}`,
    `--pid-file=${join(folder, "pid")}`,
    `--port=${port}`,
    "--bind-address=127.0.0.1",
    ...userArgs(),
    // To the system with every commit, and to the disk once a second: it survives a kill, which is what tests do.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
    ...args,
  ];
}

function running(child: ChildServer, port: number, folder: string): MysqlServer {
  const connect = (schema?: string): Connection => {
    const to = schema === undefined ? {} : { database: schema };
    const client = createConnection({
      host: "127.0.0.1",
      port,
      user: "root",
      charset: "UTF8MB4_BIN",
      jsonStrings: true,
      ...to,
    });
    // Its own calls reject; a server that is killed is no news.
    client.on("error", () => undefined);
    return client;
  };
  return {
    ...localServer({ child, port, folder }),
    folder,
    dsn: (parameters = "", through = port) =>
      `root@tcp(127.0.0.1:${through})/${parameters === "" ? "" : `?${parameters}`}`,
    connect,
    query: async (text, values = [], schema = undefined) => {
      const client = connect(schema);
      try {
        return await runOn(client, text, values);
      } finally {
        client.destroy();
      }
    },
  };
}

/** Runs a statement on a connection; values go into its text. */
export function runOn(client: Connection, text: string, values: readonly unknown[] = []): Promise<Rows> {
  return new Promise((resolve, reject) => {
    client.query(text, [...values] as string[], (error, rows) => {
      if (error === null) resolve(Array.isArray(rows) ? (rows as Rows) : []);
      else reject(error);
    });
  });
}
