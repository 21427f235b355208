// Data written by Dapr are read by Pannier, and the other way round, on every store of which Dapr's own driver can be run.
import { blobAzurite } from "#test/conformance/blobstorage.ts";
import { cassandraPlain } from "#test/conformance/cassandra.ts";
import { cockroachV1, cockroachV2 } from "#test/conformance/cockroachdb.ts";
import { emulatorBehindFront } from "#test/conformance/cosmosdb.ts";
import { dynamo } from "#test/conformance/dynamodb.ts";
import { etcdV1, etcdV2 } from "#test/conformance/etcd.ts";
import { firestoreEmulator } from "#test/conformance/firestore.ts";
import { jetStream } from "#test/conformance/jetstream.ts";
import { memcachedPlain } from "#test/conformance/memcached.ts";
import { mongodbAlone } from "#test/conformance/mongodb.ts";
import { mariadb } from "#test/conformance/mysql.ts";
import { postgresqlV1, postgresqlV2 } from "#test/conformance/postgresql.ts";
import { redisDocuments, redisServer } from "#test/conformance/redis.ts";
import { sqliteFile } from "#test/conformance/sqlite.ts";
import { tableAzurite } from "#test/conformance/tablestorage.ts";
import { yugabyte } from "#test/conformance/yugabytedb.ts";
import { zooKeeper } from "#test/conformance/zookeeper.ts";
import { interchange, type Pair } from "./interchange.ts";

const NOT_TOLD = { "sets an expiry that Dapr tells": "Dapr's driver tells no expiry on this store" };

/** Values as from Dapr's HTTP API, each of which it puts into a document. */
const DOCUMENTS = { contentType: "application/json", "test.decoded": "true" };
const AS_HASH = "bytes lie in a hash, which Dapr's driver refuses to read when it is asked for a document";
const ONLY_JSON = {
  "reads plain text that Dapr has got over gRPC": "Dapr's driver is given JSON only: of bytes it would make base64",
  "reads bytes that are no text that Dapr has got over gRPC":
    "Dapr's driver is given JSON only: of bytes it would make base64",
  "writes plain text so that Dapr reads it": AS_HASH,
  "writes JSON as bytes so that Dapr reads it": AS_HASH,
  "writes bytes that are no text so that Dapr reads it": AS_HASH,
};

const NO_ETAGS = {
  "tells the ETag that Dapr tells": "Dapr's driver has no ETags on this store",
  "takes the ETag that Dapr has told, once, and Dapr takes ours": "Dapr's driver has no ETags on this store",
};

const PAIRS: readonly Pair[] = [
  { subject: dynamo, dapr: "aws.dynamodb" },
  { subject: blobAzurite, dapr: "azure.blobstorage/v2" },
  { subject: emulatorBehindFront, dapr: "azure.cosmosdb" },
  {
    subject: tableAzurite,
    dapr: "azure.tablestorage",
    excepted: {
      "reads bytes that are no text that Dapr has got over gRPC":
        "Dapr's driver stores text only, and loses such bytes",
      "writes bytes that are no text so that Dapr reads it": "Dapr's driver reads text only",
    },
  },
  { subject: cassandraPlain, dapr: "cassandra" },
  { subject: cockroachV1, dapr: "cockroachdb" },
  { subject: cockroachV2, dapr: "postgresql/v2" },
  { subject: etcdV1, dapr: "etcd", excepted: NOT_TOLD },
  {
    subject: etcdV2,
    dapr: "etcd/v2",
    excepted: {
      "reads a string that Dapr has got over HTTP":
        "Dapr's driver of this version escapes no backslash and no line end, and stores what is no JSON",
    },
  },
  {
    subject: firestoreEmulator,
    dapr: "gcp.firestore",
    excepted: {
      "reads bytes that are no text that Dapr has got over gRPC":
        "Dapr's driver writes text only, and refuses such bytes",
      "writes bytes that are no text so that Dapr reads it": "Dapr's driver reads text only, and says so of a blob",
      "tells the ETag that Dapr tells": "Dapr's driver has no ETags",
      "takes the ETag that Dapr has told, once, and Dapr takes ours": "Dapr's driver has no ETags",
    },
  },
  {
    subject: jetStream,
    dapr: "jetstream",
    excepted: {
      "deletes what the other has written": "Dapr's driver calls a key that is not there an error",
      ...NO_ETAGS,
    },
  },
  {
    subject: zooKeeper,
    dapr: "zookeeper",
    daprWritesNothing: "Dapr's driver names no rights for a new node, and ZooKeeper refuses to make it",
  },
  { subject: memcachedPlain, dapr: "memcached", excepted: NOT_TOLD },
  {
    subject: mongodbAlone,
    dapr: "mongodb",
    daprWritesNothing: "Dapr's driver updates by pipelines, of which mongo-java-server knows nothing",
    excepted: {
      "writes bytes that are no text so that Dapr reads it": "mongo-java-server decodes strings, and loses such bytes",
    },
  },
  { subject: mariadb, dapr: "mysql" },
  { subject: postgresqlV1, dapr: "postgresql" },
  { subject: postgresqlV2, dapr: "postgresql/v2" },
  { subject: redisServer, dapr: "redis", excepted: NOT_TOLD },
  { subject: redisDocuments, dapr: "redis", saying: DOCUMENTS, excepted: { ...NOT_TOLD, ...ONLY_JSON } },
  { subject: sqliteFile, dapr: "sqlite" },
  { subject: yugabyte, dapr: "postgresql/v2" },
];

for (const pair of PAIRS) interchange(pair);
