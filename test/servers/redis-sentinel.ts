// A real Redis master with two replicas and three sentinels for tests, on private ports of 127.0.0.1. The program is that
// of redis.ts.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { ChildServer } from "./child-server.ts";
import { freePort } from "./free-port.ts";
import { type RedisOptions, type RedisServer, redisProgram, startRedis } from "./redis.ts";

export interface RedisSentinelOptions extends RedisOptions {
  /** Password of the servers, told to the sentinels. */
  readonly password?: string;
  /** Password of the sentinels themselves. */
  readonly sentinelPassword?: string;
}

export interface Sentinel {
  readonly port: number;
  kill9(): Promise<void>;
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export interface RedisSentinels {
  /** The master of the beginning, then its replicas. */
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly Sentinel[];
  /** "127.0.0.1:26379,…", all sentinels. */
  readonly hosts: string;
  readonly masterName: string;
  /** The number of the server that the sentinels call the master. */
  master(): Promise<number>;
  /** Has the sentinels make another server the master. */
  failover(): Promise<void>;
  stop(): Promise<void>;
}

const MASTER_NAME = "orders";
const SERVERS = 3;
const SENTINELS = 3;
const QUORUM = 2;
/** A server that waits for its turn on a busy machine must not count as down: each failover moves all that follow. */
const DOWN_AFTER_MS = 4000;
const KNOWN_WITHIN_MS = 30_000;

/** Starts everything and resolves when each sentinel knows all the others. Whoever starts it stops it. */
export async function startRedisSentinels(options: RedisSentinelOptions = {}): Promise<RedisSentinels> {
  const servers: RedisServer[] = [];
  const sentinels: Sentinel[] = [];
  const stop = async (): Promise<void> => {
    for (const each of [...sentinels, ...servers]) await each.stop();
  };
  try {
    for (let server = 0; server < SERVERS; server++) {
      const replica = server === 0 ? [] : ["--replicaof", "127.0.0.1", String(servers[0]?.port)];
      servers.push(
        await startRedis({ ...options, args: [...replica, ...passwordArgs(options), ...(options.args ?? [])] }),
      );
    }
    for (let sentinel = 0; sentinel < SENTINELS; sentinel++) {
      sentinels.push(await startSentinel(servers[0]?.port ?? 0, options));
    }
    const started = running(servers, sentinels, options, stop);
    await allKnown(sentinels, options);
    return started;
  } catch (error) {
    await stop();
    throw error;
  }
}

function passwordArgs({ password }: RedisSentinelOptions): string[] {
  return password === undefined ? [] : ["--requirepass", password, "--masterauth", password];
}

/** Starts one sentinel for the server at a port. Whoever starts one stops it. */
export async function startSentinel(masterPort: number, options: RedisSentinelOptions = {}): Promise<Sentinel> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-sentinel-"));
  const port = await freePort();
  const { password, sentinelPassword } = options;
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} ${QUORUM}`,
    ...(password === undefined ? [] : [`sentinel auth-pass ${MASTER_NAME} ${password}`]),
    ...(sentinelPassword === undefined ? [] : [`requirepass ${sentinelPassword}`]),
    `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER_NAME} 3000`,
    `sentinel parallel-syncs ${MASTER_NAME} 1`,
  ];
  await writeFile(join(folder, "sentinel.conf"), `${lines.join("\n")}\n`);
  const server = new ChildServer({
    command: redisProgram(),
    args: ["sentinel.conf", "--sentinel"],
    cwd: folder,
    readyText: "+monitor master",
  });
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await server.start();
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    port,
    kill9: () => server.kill9(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    stop: () => server.stop().then(remove),
  };
}

function running(
  servers: readonly RedisServer[],
  sentinels: readonly Sentinel[],
  options: RedisSentinelOptions,
  stop: () => Promise<void>,
): RedisSentinels {
  const ask = (...command: string[]): Promise<unknown> => askAny(sentinels, options, command);
  return {
    servers,
    sentinels,
    hosts: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(","),
    masterName: MASTER_NAME,
    master: async () => {
      const answer = await ask("GET-MASTER-ADDR-BY-NAME", MASTER_NAME);
      const port = Array.isArray(answer) ? Number(answer[1]) : 0;
      return servers.findIndex((server) => server.port === port);
    },
    failover: async () => {
      await ask("FAILOVER", MASTER_NAME);
    },
    stop,
  };
}

/** The answer of the first sentinel that gives one. */
function askAny(
  sentinels: readonly Sentinel[],
  options: RedisSentinelOptions,
  command: readonly string[],
): Promise<unknown> {
  return Promise.any(sentinels.map((sentinel) => ask(sentinel, options, command)));
}

async function ask(
  { port }: Sentinel,
  { sentinelPassword }: RedisSentinelOptions,
  command: readonly string[],
): Promise<unknown> {
  const auth = sentinelPassword === undefined ? {} : { password: sentinelPassword };
  const client = new Redis({ host: "127.0.0.1", port, disableClientInfo: true, retryStrategy: null, ...auth });
  client.on("error", () => undefined);
  try {
    return await client.call("SENTINEL", ...command);
  } finally {
    client.disconnect();
  }
}

/** Until then a failover would find no replica, or no majority. */
async function allKnown(sentinels: readonly Sentinel[], options: RedisSentinelOptions): Promise<void> {
  const end = Date.now() + KNOWN_WITHIN_MS;
  for (const sentinel of sentinels) {
    while (!(await knowsAll(sentinel, options))) {
      if (Date.now() > end) throw new Error(`the sentinels do not know each other within ${KNOWN_WITHIN_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function knowsAll(sentinel: Sentinel, options: RedisSentinelOptions): Promise<boolean> {
  const [replicas, others] = await Promise.all([
    ask(sentinel, options, ["REPLICAS", MASTER_NAME]),
    ask(sentinel, options, ["SENTINELS", MASTER_NAME]),
  ]);
  return lengthOf(replicas) === SERVERS - 1 && lengthOf(others) === SENTINELS - 1;
}

function lengthOf(answer: unknown): number {
  return Array.isArray(answer) ? answer.length : 0;
}
