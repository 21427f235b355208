// The conformance suite over the gRPC API of running sidecars, on stores of each kind.
import { inMemory } from "./in-memory.ts";
import { grpc, grpcBulk } from "./over/grpc.ts";
import { http } from "./over/http.ts";
import { over } from "./over/over.ts";
import { postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { redisServer } from "./redis.ts";
import { sqliteFile } from "./sqlite.ts";
import { conformance } from "./suite.ts";

for (const subject of [inMemory, sqliteFile, redisServer, postgresqlV1, postgresqlV2]) {
  conformance(over(subject, [grpc, http]));
}
conformance(over(inMemory, [grpcBulk]));
