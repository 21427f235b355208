// Which driver serves which Component type. The only file that names drivers, and it loads one only when asked:
// a pod with Redis never loads another client library.
import { loading } from "./packages.ts";
import type { StoreDriver } from "./store.ts";

type Load = () => Promise<{ readonly driver: StoreDriver }>;

const LOADERS: Readonly<Record<string, Load>> = {
  "state.etcd": () => import("./etcd/etcd.ts"),
  "state.in-memory": () => import("./in-memory/in-memory.ts"),
  "state.memcached": () => import("./memcached/memcached.ts"),
  "state.mysql": () => import("./mysql/mysql.ts"),
  "state.postgresql": () => import("./postgresql/postgresql.ts"),
  "state.redis": () => import("./redis/redis.ts"),
  "state.sqlite": () => import("./sqlite/sqlite.ts"),
};

/** Other names of a type (dapr-state-stores.md 0.5). */
const ALIASES: Readonly<Record<string, string>> = {
  "state.postgres": "state.postgresql",
  "state.sqlite3": "state.sqlite",
};

/** Every type that has a driver, in alphabetical order. */
export const STORE_TYPES: readonly string[] = Object.keys(LOADERS).sort();

/** Every spelling that {@link loadDriver} takes. */
export const STORE_TYPE_NAMES: readonly string[] = [...STORE_TYPES, ...Object.keys(ALIASES)];

/** The type that a name stands for, or the name itself. `name` in lower case. */
export function typeOf(name: string): string {
  return ALIASES[name] ?? name;
}

/**
 * The driver of a Component type, or null when there is none. `type` in lower case. Rejects with PackageMissing where its
 * client library is not installed.
 */
export async function loadDriver(type: string): Promise<StoreDriver | null> {
  const load = LOADERS[typeOf(type)];
  return load === undefined ? null : (await loading(load)).driver;
}
