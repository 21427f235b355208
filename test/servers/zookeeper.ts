// Real ZooKeeper servers for tests: private ports on 127.0.0.1, own temporary folders, nothing flushed to the disk. The
// program is Debian's (/usr/share/java), or the class path in PANNIER_TEST_ZOOKEEPER_CLASSPATH, with a Java from PATH.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildServer } from "./child-server.ts";
import { javaMissing } from "./fetched.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startPlanned } from "./local-server.ts";
import { isRequired } from "./required.ts";

export interface ZooKeeperServer extends LocalServer {
  /** "127.0.0.1:2181", as in `servers`. */
  readonly address: string;
  /** Runs commands in ZooKeeper's own client (zkCli.sh) and gives the lines that it prints, its greetings left out. */
  cli(commands: readonly string[]): Promise<readonly string[]>;
}

export interface ZooKeeperOptions {
  /** More lines of the configuration file. */
  readonly settings?: readonly string[];
  /** More options of Java, as "-Djute.maxbuffer=…". */
  readonly java?: readonly string[];
}

const DEBIAN_CLASSPATH = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar";
const JAVA_OPTIONS = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.forceSync=no"];
const SERVES_WITHIN_MS = 20_000;
const STATUS_MS = 500;
const PAUSE_MS = 20;

function classpath(): string {
  return process.env.PANNIER_TEST_ZOOKEEPER_CLASSPATH ?? DEBIAN_CLASSPATH;
}

/** The servers of an ensemble that is there already, from PANNIER_TEST_ZOOKEEPER_SERVERS; null when none is named. */
export function zooKeeperServers(): string | null {
  return process.env.PANNIER_TEST_ZOOKEEPER_SERVERS ?? null;
}

/**
 * Why there can be no ZooKeeper here and what to do about it, or null when there is one. With
 * PANNIER_TEST_REQUIRE=zookeeper a missing one is no reason: null, and `startZooKeeper` fails.
 */
export function zooKeeperMissing(): string | null {
  return isRequired("zookeeper") ? null : whyMissing();
}

function whyMissing(): string | null {
  const absent = classpath()
    .split(":")
    .find((path) => !path.endsWith("*") && !existsSync(path));
  if (absent === undefined) return javaMissing();
  return `there is no ${absent}: install ZooKeeper (Debian: apt-get install zookeeper), or name a class path in PANNIER_TEST_ZOOKEEPER_CLASSPATH`;
}

/** A describe for tests that start a ZooKeeper: where there can be none they are pending, with the reason in the title. */
export function describeWithZooKeeper(title: string, body: () => void): void {
  describeUnless(zooKeeperMissing(), title, body);
}

/** Starts one server and resolves when it serves. Whoever starts one stops it. */
export async function startZooKeeper(options: ZooKeeperOptions = {}): Promise<ZooKeeperServer> {
  const [server] = await startZooKeepers(1, options);
  if (server === undefined) throw new Error("an ensemble of one server has no server");
  return server;
}

/** Starts the servers of one ensemble. Whoever starts them stops each. */
export async function startZooKeepers(
  count: number,
  options: ZooKeeperOptions = {},
): Promise<readonly ZooKeeperServer[]> {
  const missing = whyMissing();
  if (missing !== null) throw new Error(missing);
  return startPlanned(async () => {
    const members = await planMembers(count);
    return Promise.all(
      members.map(async (member) => {
        const child = await childOf(member, members, options);
        return { child, server: running(child, member) };
      }),
    );
  });
}

interface Member {
  readonly id: number;
  readonly port: number;
  readonly peerPort: number;
  readonly electionPort: number;
  readonly folder: string;
}

function planMembers(count: number): Promise<readonly Member[]> {
  const plan = async (id: number): Promise<Member> => ({
    id,
    port: await freePort(),
    peerPort: await freePort(),
    electionPort: await freePort(),
    folder: await mkdtemp(join(tmpdir(), "pannier-zookeeper-")),
  });
  return Promise.all(Array.from({ length: count }, (_, index) => plan(index + 1)));
}

async function childOf(
  member: Member,
  members: readonly Member[],
  { settings = [], java = [] }: ZooKeeperOptions,
): Promise<ChildServer> {
  const { id, port, folder } = member;
  const data = join(folder, "data");
  await mkdir(data);
  await writeFile(join(data, "myid"), String(id));
  const peers = members.map((each) => `server.${each.id}=127.0.0.1:${each.peerPort}:${each.electionPort}`);
  const lines = [
    "tickTime=500",
    "initLimit=20",
    "syncLimit=10",
    `dataDir=${data}`,
    `clientPort=${port}`,
    "clientPortAddress=127.0.0.1",
    "maxClientCnxns=0",
    "admin.enableServer=false",
    ...(members.length > 1 ? peers : []),
    ...settings,
  ];
  const file = join(folder, "zoo.cfg");
  await writeFile(file, `${lines.join("\n")}\n`);
  return new ChildServer({
    command: "java",
    args: [
      ...JAVA_OPTIONS,
      ...java,
      ...["-cp", classpath(), "org.apache.zookeeper.server.quorum.QuorumPeerMain", file],
    ],
    cwd: folder,
    readyText: "binding to port",
  });
}

function running(child: ChildServer, { port, folder }: Member): ZooKeeperServer {
  const address = `127.0.0.1:${port}`;
  return {
    ...localServer({ child, port, folder, answers: () => untilServing(port) }),
    address,
    cli: (commands) => cli(address, commands),
  };
}

/** A server listens before it serves: one of an ensemble waits for a leader. */
async function untilServing(port: number): Promise<void> {
  const end = Date.now() + SERVES_WITHIN_MS;
  while (!(await status(port)).includes("Mode: ")) {
    if (Date.now() > end) throw new Error(`ZooKeeper on port ${port} does not serve after ${SERVES_WITHIN_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** What the server says to `srvr`; nothing where it cannot be reached. */
function status(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("srvr"));
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
    });
    // A server that is about to begin can take a connection and never say anything on it.
    socket.setTimeout(STATUS_MS, () => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer));
  });
}

/** What the client says of itself. */
const CHATTER = /^(Connecting to |Welcome to ZooKeeper!|JLine support is |WATCHER::|WatchedEvent |$)/;

function cli(address: string, commands: readonly string[]): Promise<readonly string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
  const main = ["-cp", classpath(), "org.apache.zookeeper.ZooKeeperMain", "-waitforconnection", "-server", address];
  const child = spawn("java", [...JAVA_OPTIONS, "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", ...main]);
  let printed = "";
  const read = (chunk: Buffer): void => {
    printed += chunk.toString();
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  child.once("error", reject);
  child.once("close", () => resolve(printed.split("\n").filter((line) => !CHATTER.test(line))));
  child.stdin.end(`${[...commands, "quit"].join("\n")}\n`);
  return promise;
}
