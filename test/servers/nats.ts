// Real NATS servers with JetStream for tests: private ports on 127.0.0.1, own temporary folders. The program is nats-server
// from PATH, or what PANNIER_TEST_NATS_SERVER names. And buckets in them, by NATS' own key-value client.
import { spawnSync } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type KV, Kvm, type KvOptions } from "@nats-io/kv";
import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { describeUnless, type LocalServer, localServer, startPlanned } from "./local-server.ts";
import { isRequired } from "./required.ts";

export interface NatsServer extends LocalServer {
  /** "nats://127.0.0.1:4222", as in `natsURL`. */
  readonly url: string;
}

export interface NatsOptions {
  /** More lines of the configuration file. */
  readonly settings?: readonly string[];
}

/** A bucket, and the connection of its own that it is spoken to over. */
export interface TestBucket {
  readonly kv: KV;
  readonly connection: NatsConnection;
  close(): Promise<void>;
}

function program(): string {
  return process.env.PANNIER_TEST_NATS_SERVER ?? "nats-server";
}

/** The URL of a server that is there already, from PANNIER_TEST_NATS_URL; null when none is named. */
export function natsUrl(): string | null {
  return process.env.PANNIER_TEST_NATS_URL ?? null;
}

/**
 * Why there can be no NATS here and what to do about it, or null when there is one. With PANNIER_TEST_REQUIRE=nats a missing
 * one is no reason: null, and `startNats` fails.
 */
export function natsMissing(): string | null {
  return isRequired("nats") ? null : whyMissing();
}

function whyMissing(): string | null {
  const { error } = spawnSync(program(), ["--version"], { stdio: "ignore" });
  if (error === undefined) return null;
  return `${program()} cannot be run (${error.message}): install it (Debian: apt-get install nats-server), or name its path in PANNIER_TEST_NATS_SERVER`;
}

/** "2.9.10"; null where there is no program. */
export function natsVersion(): string | null {
  const { stdout } = spawnSync(program(), ["--version"], { encoding: "utf8" });
  return /v(\d+\.\d+\.\d+)/.exec(stdout ?? "")?.[1] ?? null;
}

/** A describe for tests that start a NATS server: where there can be none they are pending, with the reason in the title. */
export function describeWithNats(title: string, body: () => void): void {
  describeUnless(natsMissing(), title, body);
}

/** Starts one server and resolves when it is ready. Whoever starts one stops it. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const [server] = await startNatsServers(1, options);
  if (server === undefined) throw new Error("a cluster of one server has no server");
  return server;
}

/** Starts the servers of one cluster. Whoever starts them stops each. */
export async function startNatsServers(count: number, options: NatsOptions = {}): Promise<readonly NatsServer[]> {
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
  readonly name: string;
  readonly port: number;
  readonly routePort: number;
  readonly folder: string;
}

function planMembers(count: number): Promise<readonly Member[]> {
  const plan = async (name: string): Promise<Member> => ({
    name,
    port: await freePort(),
    routePort: await freePort(),
    folder: await mkdtemp(join(tmpdir(), "pannier-nats-")),
  });
  return Promise.all(Array.from({ length: count }, (_, index) => plan(`n${index}`)));
}

async function childOf(
  { name, port, routePort, folder }: Member,
  members: readonly Member[],
  { settings = [] }: NatsOptions,
): Promise<ChildServer> {
  const routes = members.map((each) => `nats://127.0.0.1:${each.routePort}`).join(", ");
  const cluster = `cluster { name: pannier, listen: "127.0.0.1:${routePort}", routes: [${routes}] }`;
  const lines = [
    `listen: "127.0.0.1:${port}"`,
    `server_name: ${name}`,
    `jetstream { store_dir: "${join(folder, "data")}" }`,
    ...(members.length > 1 ? [cluster] : []),
    ...settings,
  ];
  const file = join(folder, "nats.conf");
  await writeFile(file, `${lines.join("\n")}\n`);
  return new ChildServer({
    command: program(),
    args: ["-c", file],
    cwd: folder,
    readyText: "Server is ready",
    // It would keep its clients waiting for a farewell.
    stopSignal: "SIGKILL",
  });
}

function running(child: ChildServer, { port, folder }: Member): NatsServer {
  return { ...localServer({ child, port, folder }), url: `nats://127.0.0.1:${port}` };
}

const BUCKET_WITHIN_MS = 30_000;
const PAUSE_MS = 50;

/** Makes a bucket, or takes the one that there is; a cluster that has only just begun needs a moment for it. */
export async function openBucket(
  url: string,
  bucket: string,
  options: Partial<KvOptions> = {},
  sign: Partial<ConnectionOptions> = {},
): Promise<TestBucket> {
  const connection = await connect({ servers: url.split(","), reconnect: false, ...sign });
  const end = Date.now() + BUCKET_WITHIN_MS;
  for (;;) {
    try {
      const kv = await new Kvm(connection).create(bucket, options);
      return { kv, connection, close: () => connection.close() };
    } catch (error) {
      if (Date.now() > end) {
        await connection.close();
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
