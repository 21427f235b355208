// Every subject of the conformance suite that calls a driver itself, with what stands behind it, store by store. The tables
// of docs/stores.md and of README.md are made from this (`npm run docs`).
import { blobAzurite, blobService } from "./blobstorage.ts";
import { cassandraEtags, cassandraPlain } from "./cassandra.ts";
import { cockroachV1, cockroachV1ByAddress, cockroachV2, cockroachV2ByAddress } from "./cockroachdb.ts";
import { azureOnePartition, azureOwnPartitions, cosmosEmulator } from "./cosmosdb.ts";
import { dynamo, dynamoByAddress, dynamoWithoutTtl } from "./dynamodb.ts";
import { etcdV1, etcdV2 } from "./etcd.ts";
import { firestoreEmulator, firestoreService } from "./firestore.ts";
import { inMemory } from "./in-memory.ts";
import { jetStream, jetStreamReplicas } from "./jetstream.ts";
import { memcachedEtags, memcachedPlain } from "./memcached.ts";
import { mongodbAlone, mongodbReplicaSet } from "./mongodb.ts";
import { mariadb, mysql } from "./mysql.ts";
import { pluggableOwn } from "./pluggable.ts";
import { postgresqlPgbouncer, postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { redisCluster, redisClusterSpread, redisDocuments, redisSentinels, redisServer } from "./redis.ts";
import { spannerFake, spannerService } from "./spanner.ts";
import { sqliteFile, sqliteMemory } from "./sqlite.ts";
import { sqlserverV1, sqlserverV2 } from "./sqlserver.ts";
import type { Subject } from "./subject.ts";
import { tableAzurite, tableService } from "./tablestorage.ts";
import { yugabyte, yugabyteByAddress } from "./yugabytedb.ts";
import { zooKeeper } from "./zookeeper.ts";

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
const AZURITE = "Azurite 3.37, Microsoft's emulator";
const STAND_IN = "PostgreSQL 15 in its place, serializable";
const UNTRIED = "never run against a real server";
const ETCD = "etcd 3.4 (Debian)";
const DYNAMODB = "Amazon's DynamoDB Local 2.6";

const CASSANDRA = "Apache Cassandra 5.0";

export const STORES: readonly TriedStore[] = [
  {
    type: "state.aws.dynamodb",
    versions: "",
    tried: [
      { subject: dynamo, against: DYNAMODB },
      { subject: dynamoWithoutTtl, against: "the same, without `ttlAttributeName`" },
      { subject: dynamoByAddress, against: "DynamoDB itself", byAddress: true },
    ],
    says: { ttl: "with `ttlAttributeName`" },
    remark: "throttling and roles by answers of our own",
  },
  {
    type: "state.azure.blobstorage",
    versions: "v2",
    tried: [
      { subject: blobAzurite, against: AZURITE },
      { subject: blobService, against: "Azure itself", byAddress: true },
    ],
    remark: "never run on Azure itself, nor signed in at Entra ID",
  },
  {
    type: "state.azure.cosmosdb",
    versions: "",
    tried: [
      { subject: cosmosEmulator, against: "Vercel's cosmosdb-server 1.0, a partition for each key" },
      { subject: azureOwnPartitions, against: "Cosmos DB itself, a partition for each key", byAddress: true },
      { subject: azureOnePartition, against: "Cosmos DB itself, one partition", byAddress: true },
    ],
    says: { transactions: "in one partition", ttl: "where the container has it" },
    remark: "transactions, sessions and throttling by answers of our own",
  },
  {
    type: "state.azure.tablestorage",
    versions: "",
    tried: [
      { subject: tableAzurite, against: AZURITE },
      { subject: tableService, against: "Azure itself", byAddress: true },
    ],
    says: { transactions: "yes, within one key prefix" },
    remark: "never run on Azure itself or Cosmos DB, nor signed in at Entra ID",
  },
  {
    type: "state.cassandra",
    versions: "",
    tried: [
      { subject: cassandraPlain, against: CASSANDRA },
      { subject: cassandraEtags, against: `${CASSANDRA}, with \`etags\`` },
    ],
    says: { etags: "with `etags`" },
    remark: "also three nodes with one killed, TLS, users",
  },
  {
    type: "state.cockroachdb",
    versions: "v1",
    tried: [
      { subject: cockroachV1, against: STAND_IN },
      { subject: cockroachV1ByAddress, against: "CockroachDB itself", byAddress: true },
    ],
    remark: UNTRIED,
  },
  {
    type: "state.cockroachdb",
    versions: "v2",
    tried: [
      { subject: cockroachV2, against: STAND_IN },
      { subject: cockroachV2ByAddress, against: "CockroachDB itself", byAddress: true },
    ],
    remark: UNTRIED,
  },
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
  {
    type: "state.gcp.firestore",
    versions: "",
    tried: [
      { subject: firestoreEmulator, against: "datastore-emulator 0.1.14, of Rust" },
      { subject: firestoreService, against: "the service", byAddress: true },
    ],
    remark: "the service's own concurrency and limits are not proved",
  },
  {
    type: "state.gcp.spanner",
    versions: "",
    tried: [
      { subject: spannerFake, against: "Google's in-memory fake, behind a front of ours" },
      { subject: spannerService, against: "the service", byAddress: true },
    ],
    remark: "Spanner's own concurrency, locks and limits are not proved",
  },
  { type: "state.in-memory", versions: "", tried: [{ subject: inMemory, against: "itself" }] },
  {
    type: "state.jetstream",
    versions: "",
    tried: [
      { subject: jetStream, against: "NATS 2.9 (Debian)" },
      { subject: jetStreamReplicas, against: "NATS 2.9 (Debian), three replicas" },
    ],
    says: { etags: "yes; with replicas from NATS 2.9.21" },
    remark: "also users, JWT, TLS, and by hand NATS 2.15",
  },
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
    type: "state.mongodb",
    versions: "",
    tried: [
      { subject: mongodbAlone, against: "mongo-java-server 1.47, an emulator of a server alone" },
      { subject: mongodbReplicaSet, against: "a replica set", byAddress: true },
    ],
    says: { transactions: "on a replica set, proved as requests only" },
    remark: "transactions and repeated writes as requests to a stand-in",
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
    type: "pluggable",
    versions: "",
    tried: [{ subject: pluggableOwn, against: "a component of our own" }],
    says: { transactions: "as it declares", etags: "as it declares", ttl: "as it declares" },
    remark: "also Dapr's own drivers as a component",
  },
  {
    type: "state.postgresql",
    versions: "v1",
    tried: [{ subject: postgresqlV1, against: `${POSTGRESQL}, in the order of a language` }],
    remark: "also TLS, tokens of a service of ours",
  },
  {
    type: "state.postgresql",
    versions: "v2",
    tried: [
      { subject: postgresqlV2, against: POSTGRESQL },
      { subject: postgresqlPgbouncer, against: `${POSTGRESQL} behind pgbouncer 1.18, in transaction mode` },
    ],
    remark: "also TLS, tokens of a service of ours",
  },
  {
    type: "state.redis",
    versions: "",
    tried: [
      { subject: redisServer, against: `${REDIS}, one server` },
      { subject: redisDocuments, against: "Redis Stack 7.4, JSON documents" },
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
  {
    type: "state.sqlserver",
    versions: "v1",
    tried: [{ subject: sqlserverV1, against: "SQL Server", byAddress: true }],
    remark: "its requests also against a server of ours that speaks TDS and knows no SQL",
  },
  {
    type: "state.sqlserver",
    versions: "v2",
    tried: [{ subject: sqlserverV2, against: "SQL Server", byAddress: true }],
    remark: "its requests also against a server of ours that speaks TDS and knows no SQL",
  },
  {
    type: "state.zookeeper",
    versions: "",
    tried: [{ subject: zooKeeper, against: "ZooKeeper 3.8 (Debian)" }],
    remark: "also three servers, of which one is away",
  },
  {
    type: "state.yugabytedb",
    versions: "",
    tried: [
      { subject: yugabyte, against: STAND_IN },
      { subject: yugabyteByAddress, against: "YugabyteDB itself", byAddress: true },
    ],
    remark: UNTRIED,
  },
];
