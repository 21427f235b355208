// Every subject of the conformance suite that calls a driver itself, with what stands behind it, store by store. The tables
// of docs/stores.md and of README.md are made from this (`npm run docs`).
import { etcdV1, etcdV2 } from "./etcd.ts";
import { inMemory } from "./in-memory.ts";
import { memcachedEtags, memcachedPlain } from "./memcached.ts";
import { mariadb, mysql } from "./mysql.ts";
import { postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { redisCluster, redisClusterSpread, redisSentinels, redisServer } from "./redis.ts";
import { sqliteFile, sqliteMemory } from "./sqlite.ts";
import type { Subject } from "./subject.ts";

export interface Tried {
  readonly subject: Subject;
  /** The server and its version, in a few words. */
  readonly against: string;
  /** Only where an address is given, which CI has not: nothing is proved by it yet. */
  readonly byAddress?: boolean;
}

/** A row of the tables: a Component type, or one version of it. */
export interface TriedStore {
  readonly type: string;
  /** As the table shows it; "" where there is one version. */
  readonly versions: string;
  readonly tried: readonly Tried[];
  /** In place of "yes" and "no" in README.md, where that is not the whole truth. */
  readonly says?: { readonly transactions?: string; readonly etags?: string; readonly ttl?: string };
  /** What else tests prove on it, or what is not proved, in a few words. */
  readonly remark?: string;
}

const REDIS = "Redis 7.0 (Debian)";
const POSTGRESQL = "PostgreSQL 15 (Debian)";
const ETCD = "etcd 3.4 (Debian)";

export const STORES: readonly TriedStore[] = [
  {
    type: "state.etcd",
    versions: "v1",
    tried: [{ subject: etcdV1, against: ETCD }],
    says: { ttl: "from 2 s" },
    remark: "also three servers, TLS, users",
  },
  {
    type: "state.etcd",
    versions: "v2",
    tried: [{ subject: etcdV2, against: ETCD }],
    says: { ttl: "from 2 s" },
    remark: "also three servers, TLS, users",
  },
  { type: "state.in-memory", versions: "", tried: [{ subject: inMemory, against: "itself" }] },
  {
    type: "state.memcached",
    versions: "",
    tried: [
      { subject: memcachedPlain, against: "memcached 1.6 (Debian), one server" },
      { subject: memcachedEtags, against: "memcached 1.6 (Debian), three servers, with `etags`" },
    ],
    says: { etags: "with `etags`" },
  },
  {
    type: "state.mysql",
    versions: "",
    tried: [
      { subject: mariadb, against: "MariaDB 10.11 (Debian)" },
      { subject: mysql, against: "MySQL 8", byAddress: true },
    ],
    remark: "also TLS",
  },
  {
    type: "state.postgresql",
    versions: "v1",
    tried: [{ subject: postgresqlV1, against: `${POSTGRESQL}, in the order of a language` }],
    remark: "also TLS",
  },
  {
    type: "state.postgresql",
    versions: "v2",
    tried: [{ subject: postgresqlV2, against: POSTGRESQL }],
    remark: "also TLS",
  },
  {
    type: "state.redis",
    versions: "",
    tried: [
      { subject: redisServer, against: `${REDIS}, one server` },
      { subject: redisCluster, against: `${REDIS}, a cluster of six nodes` },
      { subject: redisClusterSpread, against: `${REDIS}, a cluster, keys in all slots` },
      { subject: redisSentinels, against: `${REDIS}, three sentinels` },
    ],
    says: { transactions: "yes, in one slot of a cluster" },
    remark: "also TLS, ACL",
  },
  {
    type: "state.sqlite",
    versions: "",
    tried: [
      { subject: sqliteFile, against: "node:sqlite, a file" },
      { subject: sqliteMemory, against: "node:sqlite, in memory" },
    ],
  },
];
