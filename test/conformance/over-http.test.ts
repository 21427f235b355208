// The conformance suite over the HTTP API of running sidecars, on stores of each kind.
import { inMemory } from "./in-memory.ts";
import { grpc } from "./over/grpc.ts";
import { http, httpBulk } from "./over/http.ts";
import { over } from "./over/over.ts";
import { postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { redisServer } from "./redis.ts";
import { sqliteFile } from "./sqlite.ts";
import { conformance } from "./suite.ts";

for (const subject of [inMemory, sqliteFile, redisServer, postgresqlV1, postgresqlV2]) {
  conformance(over(subject, [http, grpc]));
}
conformance(over(inMemory, [httpBulk]));
