// Real Redis clusters for tests: masters with a replica each on private ports of 127.0.0.1, put together by commands.
// The program is that of redis.ts.
import { Redis } from "ioredis";
import { freePort } from "./free-port.ts";
import { type RedisOptions, type RedisServer, startRedis } from "./redis.ts";

export interface RedisClusterOptions extends RedisOptions {
  /** Slots are dealt out to them in equal parts, in this order; 3 when not given. */
  readonly masters?: number;
  /** After this long a node counts as failed; 4000 when not given. */
  readonly nodeTimeoutMs?: number;
  /** What signs a plain client in. */
  readonly password?: string;
}

export interface RedisCluster {
  /** The masters of the beginning, then a replica of each in the same order. */
  readonly nodes: readonly RedisServer[];
  /** "127.0.0.1:7000,127.0.0.1:7001,…", all nodes. */
  readonly hosts: string;
  /** A plain client of one node, which follows no redirection. Whoever takes one disconnects it. */
  client(node: number): Redis;
  /** Resolves when every node that runs finds that all slots are served and knows its master or replicas. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

const SLOTS = 16_384;
/** A node that waits for its turn on a busy machine must not count as gone. */
const NODE_TIMEOUT_MS = 4000;
const SETTLED_WITHIN_MS = 30_000;

/** Starts a cluster and resolves when it serves all slots. Whoever starts one stops it. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { masters = 3, nodeTimeoutMs = NODE_TIMEOUT_MS, ...common } = options;
  const busPorts: number[] = [];
  const nodes: RedisServer[] = [];
  try {
    for (let node = 0; node < masters * 2; node++) {
      const busPort = await freePort();
      const args = [...clusterArgs(busPort, nodeTimeoutMs), ...(common.args ?? [])];
      nodes.push(await startRedis({ ...common, args }));
      busPorts.push(busPort);
    }
    const cluster = running(nodes, options.password);
    await join(cluster, busPorts, masters);
    return cluster;
  } catch (error) {
    for (const node of nodes) await node.stop();
    throw error;
  }
}

function clusterArgs(busPort: number, nodeTimeoutMs: number): string[] {
  return [
    ...["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", String(busPort)],
    ...["--cluster-node-timeout", String(nodeTimeoutMs), "--cluster-replica-validity-factor", "0"],
  ];
}

function running(nodes: readonly RedisServer[], password: string | undefined): RedisCluster {
  const client = (node: number): Redis => {
    const { host = "", port = 0 } = nodes[node] ?? {};
    const plain = new Redis({ host, port, disableClientInfo: true, ...(password === undefined ? {} : { password }) });
    return plain.on("error", () => undefined);
  };
  return {
    nodes,
    hosts: nodes.map(({ host, port }) => `${host}:${port}`).join(","),
    client,
    settled: async () => {
      for (const node of nodes.keys()) await withClient(client(node), isSettled);
    },
    stop: async () => {
      for (const node of nodes) await node.stop();
    },
  };
}

/** Deals out the slots, introduces the nodes to each other and makes replicas. */
async function join(cluster: RedisCluster, busPorts: readonly number[], masters: number): Promise<void> {
  const [first] = cluster.nodes;
  const ids: string[] = [];
  for (const node of cluster.nodes.keys()) {
    await withClient(cluster.client(node), async (client) => {
      ids.push(String(await client.call("CLUSTER", "MYID")));
      await client.call("CLUSTER", "SET-CONFIG-EPOCH", String(node + 1));
      if (node < masters) {
        const slot = (master: number): number => Math.floor((SLOTS * master) / masters);
        await client.call("CLUSTER", "ADDSLOTSRANGE", String(slot(node)), String(slot(node + 1) - 1));
      }
      if (node > 0) await client.call("CLUSTER", "MEET", "127.0.0.1", String(first?.port), String(busPorts[0]));
    });
  }
  for (let node = masters; node < cluster.nodes.length; node++) {
    const id = ids[node - masters] ?? "";
    await withClient(cluster.client(node), (client) => until(() => client.call("CLUSTER", "REPLICATE", id)));
  }
  await cluster.settled();
}

async function withClient(client: Redis, work: (client: Redis) => Promise<unknown>): Promise<void> {
  try {
    await work(client);
  } finally {
    client.disconnect();
  }
}

function isSettled(client: Redis): Promise<unknown> {
  return until(async () => {
    if (!String(await client.call("CLUSTER", "INFO")).includes("cluster_state:ok"))
      throw new Error("a slot is not served");
    if (!/state=online|master_link_status:up/.test(await client.info("replication")))
      throw new Error("no replica is linked");
  });
}

/** Tries again until it succeeds; rejects with the last error when that takes too long. */
async function until(attempt: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + SETTLED_WITHIN_MS;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
