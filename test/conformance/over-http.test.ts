// The conformance suite over the HTTP API of running sidecars, on stores of each kind.
import { etcdV1, etcdV2 } from "./etcd.ts";
import { inMemory } from "./in-memory.ts";
import { memcachedEtags } from "./memcached.ts";
import { mariadb } from "./mysql.ts";
import { grpc } from "./over/grpc.ts";
import { http, httpBulk } from "./over/http.ts";
import { over } from "./over/over.ts";
import { postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { redisCluster, redisSentinels, redisServer } from "./redis.ts";
import { sqliteFile } from "./sqlite.ts";
import { conformance } from "./suite.ts";

for (const subject of [
  inMemory,
  sqliteFile,
  etcdV1,
  etcdV2,
  memcachedEtags,
  redisServer,
  redisCluster,
  redisSentinels,
  postgresqlV1,
  postgresqlV2,
  mariadb,
]) {
  conformance(over(subject, [http, grpc]));
}
conformance(over(inMemory, [httpBulk]));
