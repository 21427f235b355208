// Every subject of the conformance suite that calls a driver itself, store by store, and the words that the tables of
// docs/stores.md and of README.md have for it. What ran, and on which versions, is recorded by the suite (record.ts).
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
  /** What it runs against, in a few words; in place of {servers} stands what they said that they are. */
  readonly against: string;
  /** The server is another database than the one that the store is for, and proves only the driver's own part. */
  readonly standsIn?: boolean;
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

const AZURITE = "{servers}, Microsoft's emulator";
const STAND_IN = "{servers} in its place, serializable";

export const STORES: readonly TriedStore[] = [
  {
    type: "state.aws.dynamodb",
    versions: "",
    tried: [
      { subject: dynamo, against: "Amazon's {servers}" },
      { subject: dynamoWithoutTtl, against: "Amazon's {servers}, without `ttlAttributeName`" },
      { subject: dynamoByAddress, against: "DynamoDB itself" },
    ],
    says: { ttl: "with `ttlAttributeName`" },
    remark: "throttling and roles by answers of our own",
  },
  {
    type: "state.azure.blobstorage",
    versions: "v2",
    tried: [
      { subject: blobAzurite, against: AZURITE },
      { subject: blobService, against: "Azure itself" },
    ],
    remark: "never signed in at Entra ID",
  },
  {
    type: "state.azure.cosmosdb",
    versions: "",
    tried: [
      { subject: cosmosEmulator, against: "Vercel's {servers}, a partition for each key" },
      { subject: azureOwnPartitions, against: "Cosmos DB itself, a partition for each key" },
      { subject: azureOnePartition, against: "Cosmos DB itself, one partition" },
    ],
    says: { transactions: "in one partition", ttl: "where the container has it" },
    remark: "transactions, sessions and throttling by answers of our own",
  },
  {
    type: "state.azure.tablestorage",
    versions: "",
    tried: [
      { subject: tableAzurite, against: AZURITE },
      { subject: tableService, against: "Azure itself" },
    ],
    says: { transactions: "yes, within one key prefix" },
    remark: "never run on Cosmos DB, nor signed in at Entra ID",
  },
  {
    type: "state.cassandra",
    versions: "",
    tried: [
      { subject: cassandraPlain, against: "Apache {servers}" },
      { subject: cassandraEtags, against: "Apache {servers}, with `etags`" },
    ],
    says: { etags: "with `etags`" },
    remark: "also three nodes with one killed, TLS, users",
  },
  {
    type: "state.cockroachdb",
    versions: "v1",
    tried: [
      { subject: cockroachV1, against: STAND_IN, standsIn: true },
      { subject: cockroachV1ByAddress, against: "CockroachDB itself" },
    ],
  },
  {
    type: "state.cockroachdb",
    versions: "v2",
    tried: [
      { subject: cockroachV2, against: STAND_IN, standsIn: true },
      { subject: cockroachV2ByAddress, against: "CockroachDB itself" },
    ],
  },
  {
    type: "state.etcd",
    versions: "v1",
    tried: [{ subject: etcdV1, against: "{servers}" }],
    says: { ttl: "from 2 s" },
    remark: "also three servers, TLS, users",
  },
  {
    type: "state.etcd",
    versions: "v2",
    tried: [{ subject: etcdV2, against: "{servers}" }],
    says: { ttl: "from 2 s" },
    remark: "also three servers, TLS, users",
  },
  {
    type: "state.gcp.firestore",
    versions: "",
    tried: [
      { subject: firestoreEmulator, against: "{servers}, of Rust" },
      { subject: firestoreService, against: "the service" },
    ],
    remark: "the service's own concurrency and limits are not proved",
  },
  {
    type: "state.gcp.spanner",
    versions: "",
    tried: [
      { subject: spannerFake, against: "Google's in-memory fake, behind a front of ours" },
      { subject: spannerService, against: "the service" },
    ],
    remark: "Spanner's own concurrency, locks and limits are not proved",
  },
  { type: "state.in-memory", versions: "", tried: [{ subject: inMemory, against: "itself" }] },
  {
    type: "state.jetstream",
    versions: "",
    tried: [
      { subject: jetStream, against: "{servers}" },
      { subject: jetStreamReplicas, against: "{servers}, three replicas" },
    ],
    says: { etags: "yes; with replicas from NATS 2.9.21" },
    remark: "also users, JWT, TLS, and by hand NATS 2.15",
  },
  {
    type: "state.memcached",
    versions: "",
    tried: [
      { subject: memcachedPlain, against: "{servers}, one server" },
      { subject: memcachedEtags, against: "{servers}, three servers, with `etags`" },
    ],
    says: { etags: "with `etags`" },
  },
  {
    type: "state.mongodb",
    versions: "",
    tried: [
      { subject: mongodbAlone, against: "{servers}, an emulator of a server alone" },
      { subject: mongodbReplicaSet, against: "a replica set" },
    ],
    says: { transactions: "on a replica set, proved as requests only" },
    remark: "transactions and repeated writes as requests to a stand-in",
  },
  {
    type: "state.mysql",
    versions: "",
    tried: [
      { subject: mariadb, against: "{servers}" },
      { subject: mysql, against: "MySQL 8" },
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
    tried: [{ subject: postgresqlV1, against: "{servers}, in the order of a language" }],
    remark: "also TLS, tokens of a service of ours",
  },
  {
    type: "state.postgresql",
    versions: "v2",
    tried: [
      { subject: postgresqlV2, against: "{servers}" },
      { subject: postgresqlPgbouncer, against: "{servers}, in transaction mode" },
    ],
    remark: "also TLS, tokens of a service of ours",
  },
  {
    type: "state.redis",
    versions: "",
    tried: [
      { subject: redisServer, against: "{servers}, one server" },
      { subject: redisDocuments, against: "{servers}, JSON documents" },
      { subject: redisCluster, against: "{servers}, a cluster of six nodes" },
      { subject: redisClusterSpread, against: "{servers}, a cluster, keys in all slots" },
      { subject: redisSentinels, against: "{servers}, three sentinels" },
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
    tried: [{ subject: sqlserverV1, against: "SQL Server" }],
    remark: "its requests also against a server of ours that speaks TDS and knows no SQL",
  },
  {
    type: "state.sqlserver",
    versions: "v2",
    tried: [{ subject: sqlserverV2, against: "SQL Server" }],
    remark: "its requests also against a server of ours that speaks TDS and knows no SQL",
  },
  {
    type: "state.zookeeper",
    versions: "",
    tried: [{ subject: zooKeeper, against: "{servers}" }],
    remark: "also three servers, of which one is away",
  },
  {
    type: "state.yugabytedb",
    versions: "",
    tried: [
      { subject: yugabyte, against: STAND_IN, standsIn: true },
      { subject: yugabyteByAddress, against: "YugabyteDB itself" },
    ],
  },
];
