// The subjects of state.cassandra: a table as Dapr has it, and one with ETags; one node each, which can be stopped in the
// middle. A start takes Cassandra ten seconds: what is stopped and started here is the way to it, while test/faults/ kills
// real nodes. A cluster that was named by address is left alone.
import { driver } from "#sidecar/stores/cassandra/cassandra.ts";
import { cassandraMissing, isNamed, startCassandra } from "#test/servers/cassandra.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { properties, type Subject } from "./subject.ts";
import { cassandraTold } from "./told.ts";

/** Where the seconds of Cassandra's usual tables end, whatever the TTL. */
const LAST_SECOND_MS = Date.parse("2038-01-19T03:14:06Z");

function subject(name: string, etags: boolean): Subject {
  return {
    name: `state.cassandra, ${name}`,
    driver,
    declares: {
      features: { etag: etags, transactions: false, ttl: true, list: false },
      limits: { valueBytesMax: null, keyBytesMax: 65_535, operationsMax: null, ttlSecMin: 1 },
      traits: {
        values: "exact-bytes",
        foreignEtag: "mismatch",
        etagMayBeQuoted: false,
        firstWriteDelete: "ignored",
        ttlStepMs: 1000,
        durable: true,
        listOrder: "none",
        queryStrings: "typed",
      },
    },
    expiresAtMsMax: LAST_SECOND_MS,
    server: isNamed() ? "none" : "pause",
    skip: cassandraMissing(),
    async start() {
      const cluster = await startCassandra();
      const table = {
        keyspace: "conformance",
        table: etags ? "with_etags" : "plain",
        consistency: "Quorum",
        ...(etags ? { etags: "true" } : {}),
      };
      const tells = () => cassandraTold(cluster);
      const [node] = cluster.nodes;
      if (node === undefined) {
        const named = properties({ hosts: cluster.hosts, port: String(cluster.port), ...table });
        return { properties: named, server: null, tells, stop: () => cluster.stop() };
      }
      const way = await TcpProxy.start(node);
      return {
        properties: properties({ hosts: `127.0.0.1:${way.port}`, ...table }),
        tells,
        server: {
          stop: async () => {
            way.mode = "refuse";
          },
          start: async () => {
            way.mode = "pass";
          },
          pause: () => node.pause(),
          resume: () => node.resume(),
        },
        stop: async () => {
          await way.stop();
          await cluster.stop();
        },
      };
    },
  };
}

export const cassandraPlain: Subject = subject("as Dapr uses it", false);
export const cassandraEtags: Subject = subject("with ETags", true);
