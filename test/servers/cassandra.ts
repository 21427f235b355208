// Real Cassandra nodes for tests: node N of a cluster on 127.0.0.N, private ports, own temporary folders, little memory.
// The program is what `test/servers/fetch.sh cassandra` has brought; PANNIER_TEST_CASSANDRA_HOSTS names a cluster instead.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "cassandra-driver";
import { ChildServer } from "./child-server.ts";
import { fetchedFolder, fetchedMissing, javaMissing, whyNotFetched } from "./fetched.ts";
import { freePort } from "./free-port.ts";
import { describeUnless } from "./local-server.ts";
import { isRequired } from "./required.ts";

export interface CassandraOptions {
  /** More lines for cassandra.yaml. */
  readonly yaml?: string;
  /** For a cluster that wants a user, which `openClient` then is. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** PEM texts with which `openClient` speaks TLS, for a cluster that wants it. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  /** Nodes of the cluster, at most 9; one when not given. */
  readonly nodes?: number;
}

export interface CassandraNode {
  readonly host: string;
  readonly port: number;
  kill9(): Promise<void>;
  /** SIGSTOP: the port still accepts, nothing answers. */
  pause(): void;
  resume(): void;
  /** Starts it again on the same port and folder; resolves when it serves. */
  restart(): Promise<void>;
}

export interface CassandraCluster {
  /** The first one's address is 127.0.0.1. Empty where the cluster was named by address: those are not ours to hurt. */
  readonly nodes: readonly CassandraNode[];
  /** As in the field `hosts`. */
  readonly hosts: string;
  readonly port: number;
  /** A second client, which knows nothing of ours; whoever opens one shuts it down. */
  openClient(): Client;
  stop(): Promise<void>;
}

/** A cold start on a busy machine; alone it takes some 8 s. */
const READY_WITHIN_MS = 120_000;
const GOSSIP_WITHIN_MS = 120_000;
const POLL_MS = 50;
const STARTS_MAX = 3;

function named(): string | undefined {
  return process.env.PANNIER_TEST_CASSANDRA_HOSTS;
}

/** Whether a cluster was named by address: not ours to kill or to configure. */
export function isNamed(): boolean {
  return named() !== undefined;
}

/**
 * Why there can be no Cassandra here and what to do about it, or null when there is one. With
 * PANNIER_TEST_REQUIRE=cassandra a missing one is no reason: null, and the start fails, so that CI cannot skip in silence.
 */
export function cassandraMissing(): string | null {
  return named() === undefined ? ownCassandraMissing() : null;
}

/** The same for the tests that hurt or configure a server, and need one of their own. */
export function ownCassandraMissing(): string | null {
  return fetchedMissing("cassandra") ?? (isRequired("cassandra") ? null : javaMissing());
}

/** A describe for tests that need a Cassandra: where there can be none they are pending, with the reason in the title. */
export function describeWithCassandra(title: string, body: () => void): void {
  describeUnless(cassandraMissing(), title, body);
}

export function describeWithOwnCassandra(title: string, body: () => void): void {
  describeUnless(ownCassandraMissing(), title, body);
}

/** A cluster for reading and writing: the one that was named by address, else one node of our own. */
export async function startCassandra(): Promise<CassandraCluster> {
  const hosts = named();
  if (hosts === undefined) return startOwnCassandra();
  const port = Number(hosts.split(",")[0]?.split(":")[1] ?? "9042");
  return {
    nodes: [],
    hosts,
    port,
    openClient: () => clientOf(hosts.split(","), port, {}),
    stop: async () => undefined,
  };
}

/** Starts nodes one after the other and resolves when they serve and all see each other. Whoever starts them stops them. */
export async function startOwnCassandra(options: CassandraOptions = {}): Promise<CassandraCluster> {
  const missing = whyNotFetched("cassandra") ?? javaMissing();
  if (missing !== null) throw new Error(missing);
  for (let start = 1; ; start++) {
    const folder = await mkdtemp(join(tmpdir(), "pannier-cassandra-"));
    const plan = { folder, port: await freePort(), storagePort: await freePort(), yaml: options.yaml ?? "" };
    const members = await Promise.all(numbers(options.nodes ?? 1).map((number) => memberOf(plan, number)));
    const end = async (): Promise<void> => {
      await Promise.all(members.map(({ child }) => child.stop()));
      await rm(folder, { recursive: true, force: true });
    };
    try {
      for (const { child } of members) await child.start();
      await gossiped(members);
      return clusterOf(members, plan, options, end);
    } catch (error) {
      const inUse = members.some(({ child }) => child.output.includes("already in use"));
      await end();
      // Between the search for a free port and the start another process can have taken it.
      if (start === STARTS_MAX || !inUse) throw error;
    }
  }
}

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1);

interface Plan {
  readonly folder: string;
  readonly port: number;
  readonly storagePort: number;
  readonly yaml: string;
}

interface Member {
  readonly host: string;
  readonly port: number;
  readonly storagePort: number;
  readonly log: string;
  readonly child: ChildServer;
}

function clusterOf(
  members: readonly Member[],
  { port }: Plan,
  options: CassandraOptions,
  stop: () => Promise<void>,
): CassandraCluster {
  const hosts = members.map(({ host }) => host);
  const nodes = members.map(({ host, child }) => ({
    host,
    port,
    kill9: () => child.kill9(),
    pause: () => child.pause(),
    resume: () => child.resume(),
    restart: async () => {
      await child.stop();
      await child.start();
    },
  }));
  return { nodes, hosts: hosts.join(","), port, openClient: () => clientOf(hosts, port, options), stop };
}

function clientOf(contactPoints: string[], port: number, { credentials, tls }: CassandraOptions): Client {
  return new Client({
    contactPoints,
    localDataCenter: "datacenter1",
    protocolOptions: { port },
    queryOptions: { prepare: true },
    ...(credentials === undefined ? {} : { credentials }),
    ...(tls === undefined ? {} : { sslOptions: { ...tls, rejectUnauthorized: true } }),
  });
}

/** The first table made before this leaves the schema broken for good (test-servers.md 3). */
async function gossiped(members: readonly Member[]): Promise<void> {
  const end = Date.now() + GOSSIP_WITHIN_MS;
  for (const { log, host } of members) {
    const others = members.filter((other) => other.host !== host);
    const sees = async (): Promise<boolean> => {
      const text = await readFile(log, "utf8");
      return others.every((other) => text.includes(`/${other.host}:${other.storagePort} is now UP`));
    };
    while (!(await sees())) {
      if (Date.now() > end) throw new Error(`the nodes do not see each other after ${GOSSIP_WITHIN_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

async function memberOf({ folder, port, storagePort, yaml }: Plan, number: number): Promise<Member> {
  const host = `127.0.0.${number}`;
  const own = join(folder, String(number));
  await mkdir(own);
  const log = join(own, "system.log");
  await writeFile(join(own, "cassandra.yaml"), yamlOf({ host, folder: own, port, storagePort }) + yaml);
  await writeFile(join(own, "logback.xml"), logbackOf(log));
  const child = new ChildServer({
    command: "java",
    args: argumentsOf(own),
    cwd: own,
    readyText: "Startup complete",
    readyWithinMs: READY_WITHIN_MS,
  });
  return { host, port, storagePort, log, child };
}

function yamlOf(node: { host: string; folder: string; port: number; storagePort: number }): string {
  const { host, folder, port, storagePort } = node;
  const settings: Readonly<Record<string, string | number | boolean>> = {
    cluster_name: "test",
    num_tokens: 4,
    hints_directory: `${folder}/hints`,
    data_file_directories: `[${folder}/data]`,
    commitlog_directory: `${folder}/commitlog`,
    saved_caches_directory: `${folder}/caches`,
    cdc_raw_directory: `${folder}/cdc`,
    // On a busy machine even a few writers of one key need more than the usual 1.8 s.
    cas_contention_timeout: "5000ms",
    commitlog_sync: "periodic",
    commitlog_sync_period: "1000ms",
    commitlog_segment_size: "4MiB",
    partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
    endpoint_snitch: "SimpleSnitch",
    listen_address: host,
    rpc_address: host,
    storage_port: storagePort,
    native_transport_port: port,
    auto_bootstrap: false,
    auto_snapshot: false,
    concurrent_compactors: 1,
    memtable_heap_space: "48MiB",
    memtable_offheap_space: "32MiB",
    key_cache_size: "4MiB",
    file_cache_size: "16MiB",
    networking_cache_size: "16MiB",
    seed_provider: `[{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "127.0.0.1:${storagePort}"}]}]`,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join("");
}

/** To the console, where the start is watched, and to a file, which is looked through afterwards. */
function logbackOf(file: string): string {
  const encoder = "<encoder><pattern>%d %-5level %logger{1} %msg%n</pattern></encoder>";
  return `<configuration>
<appender name="C" class="ch.qos.logback.core.ConsoleAppender">${encoder}</appender>
<appender name="F" class="ch.qos.logback.core.FileAppender"><file>${file}</file>${encoder}</appender>
<root level="INFO"><appender-ref ref="C"/><appender-ref ref="F"/></root>
</configuration>
`;
}

/** What Cassandra reaches into and Java 17 keeps closed: packages by module. */
const OPENED: Readonly<Record<string, string>> = {
  "java.base":
    "java.lang java.lang.module java.lang.reflect java.lang.invoke java.io java.math java.net java.nio java.util " +
    "java.util.concurrent java.util.concurrent.atomic jdk.internal.loader jdk.internal.math jdk.internal.misc " +
    "jdk.internal.module jdk.internal.ref jdk.internal.reflect jdk.internal.util.jar sun.nio.ch sun.nio.fs",
  "java.rmi": "sun.rmi.registry sun.rmi.server sun.rmi.transport sun.rmi.transport.tcp",
  "java.sql": "java.sql",
  "java.logging": "java.util.logging",
  "java.management.rmi": "com.sun.jmx.remote.internal.rmi",
  "java.management": "com.sun.jmx.remote.security",
  "jdk.management": "com.sun.management.internal",
  "jdk.management.jfr": "jdk.management.jfr",
};

function argumentsOf(folder: string): readonly string[] {
  const lib = join(fetchedFolder("cassandra"), "lib");
  const opened = Object.entries(OPENED).flatMap(([module, packages]) =>
    packages.split(" ").flatMap((name) => {
      const target = `${module}/${name}=ALL-UNNAMED`;
      return ["--add-exports", target, "--add-opens", target];
    }),
  );
  return [
    ...opened,
    ...["-Djdk.attach.allowAttachSelf=true", `-javaagent:${lib}/jamm-0.4.0.jar`],
    ...["-Xms320m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
    "-Dio.netty.tryReflectionSetAccessible=true",
    `-Dcassandra.config=file:${folder}/cassandra.yaml`,
    `-Dlogback.configurationFile=${folder}/logback.xml`,
    ...[`-Dcassandra.storagedir=${folder}`, "-Dcassandra-foreground=yes", "-Dcassandra.ring_delay_ms=100"],
    ...["-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.superuser_setup_delay_ms=0"],
    ...["-cp", `${folder}:${lib}/*`, "org.apache.cassandra.service.CassandraDaemon"],
  ];
}
