// The subjects of state.redis: a server, a cluster, a master under sentinels and a server with Redis Stack's modules, each
// of its own, which can be killed, started again and stopped in the middle.
import { driver } from "#sidecar/stores/redis/redis.ts";
import type { Change, OpenContext, PreparedStore, Store, StoreDriver } from "#sidecar/stores/store.ts";
import { type RedisOptions, type RedisServer, redisMissing, startRedis } from "#test/servers/redis.ts";
import { startRedisCluster } from "#test/servers/redis-cluster.ts";
import { startRedisSentinels } from "#test/servers/redis-sentinel.ts";
import { redisStack, redisStackMissing } from "#test/servers/redis-stack.ts";
import { type Declaration, ownServer, properties, type Running, type Server, type Subject } from "./subject.ts";
import { redisStackTold, redisTold, type Told } from "./told.ts";

/** The longest string that Redis holds (proto-max-bulk-len). */
const STRING_BYTES_MAX = 512 * 1024 * 1024;

const declares: Declaration = {
  features: { etag: true, transactions: true, ttl: true, list: true },
  limits: { valueBytesMax: STRING_BYTES_MAX, keyBytesMax: STRING_BYTES_MAX, operationsMax: 10_000, ttlSecMin: 1 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "invalid",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
  },
};

export const redisServer: Subject = {
  name: "state.redis, one server",
  driver,
  declares,
  server: "pause",
  skip: redisMissing(),
  start: () => startOne({}, redisTold),
};

async function startOne(options: RedisOptions, told: (port: number) => Promise<Told>): Promise<Running> {
  const redis = await startRedis(options);
  return ownServer(redis, { redisHost: `127.0.0.1:${redis.port}` }, () => told(redis.port));
}

const DOCUMENT = { contentType: "application/json" };

/** Every value that is JSON lies in a document, because each request says what Dapr wants to hear for it. */
export const redisDocuments: Subject = {
  name: "state.redis, JSON documents",
  driver: withStore(driver, (store) => ({
    traits: { ...store.traits, values: "json-equal" },
    set: (write, call) => store.set({ ...write, metadata: { ...write.metadata, ...DOCUMENT } }, call),
    get: (key, read, call) => store.get(key, { ...read, metadata: DOCUMENT }, call),
    getMany: async (keys, read, call) => (await store.getMany?.(keys, { ...read, metadata: DOCUMENT }, call)) ?? [],
    transact: async (changes, call) => store.transact?.(changes.map(asDocument), call),
  })),
  declares: { ...declares, traits: { ...declares.traits, values: "json-equal" } },
  server: "pause",
  skip: redisStackMissing(),
  start: () => startOne(redisStack(), redisStackTold),
};

function asDocument(change: Change): Change {
  if (change.kind === "delete") return change;
  return { kind: "upsert", write: { ...change.write, metadata: { ...change.write.metadata, ...DOCUMENT } } };
}

/** What a case does to "the server" happens to all of them. */
function together(servers: readonly RedisServer[], started: () => Promise<void>): Server {
  const each = (what: (server: RedisServer) => void): void => {
    for (const server of servers) what(server);
  };
  return {
    stop: async () => void (await Promise.all(servers.map((server) => server.kill9()))),
    start: async () => {
      await Promise.all(servers.map((server) => server.restart()));
      await started();
    },
    pause: () => each((server) => server.pause()),
    resume: () => each((server) => server.resume()),
  };
}

/** They are all of one program. */
function firstTold([first]: readonly RedisServer[]): Promise<Told> {
  return redisTold(first?.port ?? 0);
}

/** The keys of a case are in one hash slot, as a transaction wants them; those of two cases seldom are. */
export const redisCluster: Subject = {
  name: "state.redis, a cluster of six nodes",
  driver,
  declares,
  keyOf: (own, name) => `conformance||{${own}}-${name}`,
  server: "pause",
  skip: redisMissing(),
  start: startCluster,
};

/** The keys of each case are on all masters. Without transactions, which would be refused. */
export const redisClusterSpread: Subject = {
  name: "state.redis, a cluster of six nodes, and keys in all slots",
  driver: withStore(driver, (store) => ({
    features: { ...store.features, transactions: false },
    capabilities: store.capabilities.filter((capability) => capability !== "TRANSACTIONAL"),
    transact: undefined,
  })),
  declares: { ...declares, features: { ...declares.features, transactions: false } },
  server: "pause",
  skip: redisMissing(),
  start: startCluster,
};

type Changes = { readonly [Name in keyof Store]?: Store[Name] | undefined };

/** The driver, whose stores have some members of their own; those that are undefined they have not. */
function withStore(plain: StoreDriver, changes: (store: Store) => Changes): StoreDriver {
  const changed = (prepared: PreparedStore): PreparedStore => ({
    ...prepared,
    open: async (context: OpenContext) => {
      const store = await prepared.open(context);
      return changedStore(store, changes(store));
    },
  });
  return { ...plain, decode: (...given) => changed(plain.decode(...given)) };
}

function changedStore(store: Store, changes: Partial<Record<PropertyKey, unknown>>): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name in changes) return changes[name];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    has: (target, name) => (name in changes ? changes[name] !== undefined : name in target),
  });
}

async function startCluster(): Promise<Running> {
  // So long that no hang of a case makes a replica the master, which would lose what it has not got yet.
  const cluster = await startRedisCluster({ nodeTimeoutMs: 15_000 });
  return {
    properties: properties({ redisHost: cluster.hosts, redisType: "cluster" }),
    server: together(cluster.nodes, () => cluster.settled()),
    tells: () => firstTold(cluster.nodes),
    stop: () => cluster.stop(),
  };
}

export const redisSentinels: Subject = {
  name: "state.redis, a master under three sentinels",
  driver,
  declares,
  server: "restart",
  skip: redisMissing(),
  async start() {
    const { servers, hosts, masterName, stop } = await startRedisSentinels();
    const { stop: kill, start } = together(servers, async () => undefined);
    return {
      properties: properties({ redisHost: hosts, failover: "true", sentinelMasterName: masterName }),
      server: { stop: kill, start, pause: null, resume: () => undefined },
      tells: () => firstTold(servers),
      stop,
    };
  },
};
