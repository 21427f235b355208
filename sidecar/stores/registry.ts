// Which driver serves which Component type. The only file that names drivers, and it loads one only when asked:
// a pod with Redis never loads another client library.
import { loading } from "./packages.ts";
import type { StoreDriver } from "./store.ts";

type Load = () => Promise<{ readonly driver: StoreDriver }>;

const LOADERS: Readonly<Record<string, Load>> = {
  "state.aws.dynamodb": () => import("./dynamodb/dynamodb.ts"),
  "state.azure.blobstorage": () => import("./blobstorage/blobstorage.ts"),
  "state.azure.cosmosdb": () => import("./cosmosdb/cosmosdb.ts"),
  "state.azure.tablestorage": () => import("./tablestorage/tablestorage.ts"),
  "state.cassandra": () => import("./cassandra/cassandra.ts"),
  "state.cockroachdb": () => import("./postgresql/cockroachdb.ts"),
  "state.etcd": () => import("./etcd/etcd.ts"),
  "state.gcp.firestore": () => import("./firestore/firestore.ts"),
  "state.gcp.spanner": () => import("./spanner/spanner.ts"),
  "state.in-memory": () => import("./in-memory/in-memory.ts"),
  "state.jetstream": () => import("./jetstream/jetstream.ts"),
  "state.memcached": () => import("./memcached/memcached.ts"),
  "state.mongodb": () => import("./mongodb/mongodb.ts"),
  "state.mysql": () => import("./mysql/mysql.ts"),
  "state.postgresql": () => import("./postgresql/postgresql.ts"),
  "state.redis": () => import("./redis/redis.ts"),
  "state.sqlite": () => import("./sqlite/sqlite.ts"),
  "state.sqlserver": () => import("./sqlserver/sqlserver.ts"),
  "state.yugabytedb": () => import("./postgresql/yugabytedb.ts"),
  "state.zookeeper": () => import("./zookeeper/zookeeper.ts"),
};

/** Other names of a type (dapr-state-stores.md 0.5). */
const ALIASES: Readonly<Record<string, string>> = {
  "state.postgres": "state.postgresql",
  "state.sqlite3": "state.sqlite",
  "state.yugabyte": "state.yugabytedb",
};

/** What an empty version means where it is not v1 (dapr-state-stores.md 0.5): Dapr's YugabyteDB begins with v2. */
const FIRST_VERSIONS: Readonly<Record<string, string>> = { "state.yugabytedb": "v2" };

/** Every type that has a driver, in alphabetical order. */
export const STORE_TYPES: readonly string[] = Object.keys(LOADERS).sort();

/** Every spelling that {@link loadDriver} takes. */
export const STORE_TYPE_NAMES: readonly string[] = [...STORE_TYPES, ...Object.keys(ALIASES)];

/** The type that a name stands for, or the name itself. `name` in lower case. */
export function typeOf(name: string): string {
  return ALIASES[name] ?? name;
}

/** The version of a type that an empty one means, without loading its driver. `name` in lower case. */
export function firstVersionOf(name: string): string {
  return FIRST_VERSIONS[typeOf(name)] ?? "v1";
}

/**
 * The driver of a Component type, or null when there is none. `type` in lower case. Rejects with PackageMissing where its
 * client library is not installed.
 */
export async function loadDriver(type: string): Promise<StoreDriver | null> {
  const load = LOADERS[typeOf(type)];
  return load === undefined ? null : (await loading(load)).driver;
}

/**
 * The same, and where there is none a pluggable component in `folder`, if there is such a folder: a type of ours stays ours,
 * whatever lies there.
 */
export async function loadDriverOr(type: string, folder: string): Promise<StoreDriver | null> {
  const driver = await loadDriver(type);
  if (driver !== null) return driver;
  const { hasFolder, pluggableDriver } = await import("./pluggable/pluggable.ts");
  return (await hasFolder(folder)) ? pluggableDriver(type, folder) : null;
}

/** The same for a type of which is known that a pluggable component serves it, somewhere else: to judge, not to open. */
export async function loadPluggable(type: string): Promise<StoreDriver | null> {
  const driver = await loadDriver(type);
  if (driver !== null) return driver;
  const { pluggableDriver } = await import("./pluggable/pluggable.ts");
  return pluggableDriver(type, "");
}
