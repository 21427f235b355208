// What the servers behind the suite say that they are: asked of a running server, or of its program where that tells
// nothing. Each answer stands under the server's name in PANNIER_TEST_REQUIRE: { redis: "Redis 7.0" }.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import type { AzureAccount } from "#test/servers/azurite.ts";
import type { CassandraCluster } from "#test/servers/cassandra.ts";
import type { EtcdServer } from "#test/servers/etcd.ts";
import { fetchedFolder } from "#test/servers/fetched.ts";
import type { MemcachedServer } from "#test/servers/memcached.ts";
import type { MysqlServer } from "#test/servers/mysql.ts";
import { pgbouncerVersion } from "#test/servers/pgbouncer.ts";
import type { PostgresServer } from "#test/servers/postgresql.ts";

export type Told = Readonly<Record<string, string>>;

const ANSWERS_WITHIN_MS = 110_000;

/** The first parts of the first version number in a text: of "MariaDB 10.11.14-deb12" two are "10.11". Throws where there is none. */
export function versionIn(text: string, parts: number): string {
  const [version] = /\d+(\.\d+)*/.exec(text) ?? [];
  if (version === undefined) throw new Error(`got ${JSON.stringify(text)}, want a text with a version`);
  return version.split(".").slice(0, parts).join(".");
}

export async function redisTold(port: number): Promise<Told> {
  return { redis: `Redis ${await redisVersion(port)}` };
}

/** The Stack has its number from the Redis that it was built around. */
export async function redisStackTold(port: number): Promise<Told> {
  return { "redis-stack": `Redis Stack ${await redisVersion(port)}` };
}

async function redisVersion(port: number): Promise<string> {
  return versionIn(await said({ port, asks: "INFO server\r\n", wants: /redis_version:(\S+)\r\n/ }), 2);
}

export async function postgresTold(server: PostgresServer): Promise<Told> {
  const [row] = await server.query("SHOW server_version");
  return { postgresql: `PostgreSQL ${versionIn(String(row?.server_version), 1)}` };
}

/** The pooler's own answer is for its administrators alone. */
export async function pgbouncerTold(server: PostgresServer): Promise<Told> {
  return { ...(await postgresTold(server)), pgbouncer: `pgbouncer ${versionIn(pgbouncerVersion(), 2)}` };
}

export async function mysqlTold(server: MysqlServer): Promise<Told> {
  const [row] = await server.query("SELECT VERSION() AS version");
  const text = String(row?.version);
  return { mysql: `${text.includes("MariaDB") ? "MariaDB" : "MySQL"} ${versionIn(text, 2)}` };
}

export async function etcdTold(server: EtcdServer): Promise<Told> {
  const { version } = await server.gateway("/v3/maintenance/status", {});
  return { etcd: `etcd ${versionIn(String(version), 2)}` };
}

export async function memcachedTold(server: MemcachedServer): Promise<Told> {
  return { memcached: `memcached ${versionIn(await server.raw("version\r\n"), 2)}` };
}

/** A server introduces itself to whoever connects. */
export async function natsTold(url: string): Promise<Told> {
  const { hostname, port } = new URL(url.split(",")[0] ?? "");
  const version = await said({ host: hostname, port: Number(port), asks: "", wants: /^INFO .*"version":"([^"]+)"/ });
  return { nats: `NATS ${versionIn(version, 2)}` };
}

/** "127.0.0.1:2181,…": the first one is asked. */
export async function zooKeeperTold(servers: string): Promise<Told> {
  const [host = "", port = "2181"] = (servers.split(",")[0] ?? "").split(":");
  const version = await said({ host, port: Number(port), asks: "srvr", wants: /Zookeeper version: (\S+)/ });
  return { zookeeper: `ZooKeeper ${versionIn(version, 2)}` };
}

export async function cassandraTold(cluster: CassandraCluster): Promise<Told> {
  const client = cluster.openClient();
  try {
    const { rows } = await client.execute("SELECT release_version FROM system.local");
    return { cassandra: `Cassandra ${versionIn(String(rows[0]?.release_version), 2)}` };
  } finally {
    await client.shutdown();
  }
}

export async function azuriteTold({ blobEndpoint }: Pick<AzureAccount, "blobEndpoint">): Promise<Told> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // No connection is kept, which a case would see.
  const asked = request(blobEndpoint, { agent: false, timeout: ANSWERS_WITHIN_MS }, (answer) => {
    answer.resume();
    resolve(String(answer.headers.server));
  });
  asked.once("timeout", () => asked.destroy(new Error(`Azurite says nothing for ${ANSWERS_WITHIN_MS} ms`)));
  asked.once("error", reject);
  asked.end();
  return { azurite: `Azurite ${versionIn(await promise, 2)}` };
}

const run = promisify(execFile);

export async function dynamoTold(): Promise<Told> {
  const main = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner";
  const args = ["-cp", join(fetchedFolder("dynamodb"), "lib", "*"), main, "-version"];
  const { stdout } = await run("java", args, { timeout: ANSWERS_WITHIN_MS });
  return { dynamodb: `DynamoDB Local ${versionIn(stdout, 2)}` };
}

export async function datastoreTold(): Promise<Told> {
  const program = join(fetchedFolder("datastore"), "bin/datastore-emulator");
  const { stdout } = await run(program, ["--version"], { timeout: ANSWERS_WITHIN_MS });
  return { datastore: `datastore-emulator ${versionIn(stdout, 3)}` };
}

/** It answers with the version of the MongoDB that it plays; its own stands on the jar that it runs from. */
export function mongodbTold(): Promise<Told> {
  const jars = readdirSync(join(fetchedFolder("mongodb"), "lib"));
  const own = jars.find((jar) => /^mongo-java-server-\d/.test(jar));
  return Promise.resolve({ mongodb: `mongo-java-server ${versionIn(String(own), 2)}` });
}

/** Nothing in it answers with a version but its package. */
export function cosmosdbTold(): Promise<Told> {
  const path = join(fetchedFolder("cosmosdb"), "node_modules/@vercel/cosmosdb-server/package.json");
  const { version }: { version?: unknown } = JSON.parse(readFileSync(path, "utf8"));
  return Promise.resolve({ cosmosdb: `cosmosdb-server ${versionIn(String(version), 2)}` });
}

interface Question {
  /** 127.0.0.1 when not given. */
  readonly host?: string;
  readonly port: number;
  /** Sent as soon as there is a connection; "": nothing. */
  readonly asks: string;
  /** Its first group is the answer. */
  readonly wants: RegExp;
}

/** What a server says on a connection of its own. */
function said({ host = "127.0.0.1", port, asks, wants }: Question): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const socket = connect(port, host, () => socket.write(asks));
    const fail = (why: string): void => reject(new Error(`${host}:${port}: ${why}; heard ${JSON.stringify(heard)}`));
    socket.setTimeout(ANSWERS_WITHIN_MS, () => socket.destroy(new Error(`silent for ${ANSWERS_WITHIN_MS} ms`)));
    socket.once("error", (error) => fail(error.message));
    socket.once("close", () => fail("it closed the connection"));
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1");
      const answer = wants.exec(heard)?.[1];
      if (answer === undefined) return;
      resolve(answer);
      socket.destroy();
    });
  });
}
