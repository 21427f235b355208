// The subjects of state.gcp.spanner: Google's in-memory fake behind our front, which can be killed, started again and
// stopped in the middle; and the service, where PANNIER_TEST_SPANNER_DATABASE names a database of it, which nobody can hurt.
import { driver } from "#sidecar/stores/spanner/spanner.ts";
import { spannerService as service, spannerMissing, startSpanner } from "#test/servers/spanner.ts";
import { type Declaration, lentServer, ownServer, type Subject } from "./subject.ts";

const declares: Declaration = {
  features: { etag: true, transactions: true, ttl: true, list: true },
  limits: { valueBytesMax: 10_485_760, keyBytesMax: 8000, operationsMax: 10_000, ttlSecMin: 1 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "conflict",
    ttlStepMs: 1,
    durable: true,
    listOrder: "key",
    queryStrings: "typed",
  },
};

export const spannerFake: Subject = {
  name: "state.gcp.spanner, Google's in-memory fake",
  driver,
  declares,
  server: "pause",
  skip: spannerMissing(),
  async start() {
    const spanner = await startSpanner();
    return ownServer(spanner, spanner.metadata);
  },
};

export const spannerService: Subject = {
  name: "state.gcp.spanner, the service",
  driver,
  declares,
  server: "none",
  skip:
    service() === null
      ? "PANNIER_TEST_SPANNER_DATABASE names no database: projects/P/instances/I/databases/D, with credentials in the environment"
      : null,
  start: async () => lentServer(service() ?? {}),
};
