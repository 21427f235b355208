// The subjects of state.jetstream: a server of its own, which can be killed, started again and stopped in the middle, or
// the one that PANNIER_TEST_NATS_URL names; and three with a replica each, where old servers have no ETags to rely on.
import { randomUUID } from "node:crypto";
import { driver } from "#sidecar/stores/jetstream/jetstream.ts";
import { natsMissing, natsUrl, natsVersion, openBucket, startNats, startNatsServers } from "#test/servers/nats.ts";
import { type Declaration, ownServer, properties, type Running, type Subject } from "./subject.ts";
import { natsTold } from "./told.ts";

const named = natsUrl();

function declares(etag: boolean): Declaration {
  return {
    features: { etag, transactions: false, ttl: false, list: false },
    limits: { valueBytesMax: 1024 * 1024 - 128, keyBytesMax: 2048, operationsMax: null, ttlSecMin: 1 },
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
  };
}

async function start(): Promise<Running> {
  const nats = await startNats();
  await (await openBucket(nats.url, "state")).close();
  return ownServer(nats, { natsURL: nats.url, bucket: "state" }, () => natsTold(nats.url));
}

/** What happens when its servers go is asked in test/faults/jetstream-killed.test.ts. */
async function startReplicas(): Promise<Running> {
  const servers = await startNatsServers(3);
  const natsURL = servers.map(({ url }) => url).join(",");
  // Any replica's answer may be of before, and the cases read at once what they wrote.
  await (await openBucket(natsURL, "state", { replicas: servers.length, allow_direct: false })).close();
  return {
    properties: properties({ natsURL, bucket: "state" }),
    server: null,
    tells: () => natsTold(natsURL),
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

/** A bucket of a run of its own; nothing is done to the server. */
async function join(natsURL: string): Promise<Running> {
  const bucket = `pannier-test-${randomUUID()}`;
  const { kv, close } = await openBucket(natsURL, bucket);
  return {
    properties: properties({ natsURL, bucket }),
    server: null,
    tells: () => natsTold(natsURL),
    stop: async () => {
      await kv.destroy();
      await close();
    },
  };
}

export const jetStream: Subject = {
  name: "state.jetstream",
  driver,
  declares: declares(true),
  server: named === null ? "pause" : "none",
  skip: named === null ? natsMissing() : null,
  start: named === null ? start : () => join(named),
};

/** Debian 12's, in which a condition does not hold with replicas. */
const OLD = /^2\.9\.(\d|1\d|20)$/;

export const jetStreamReplicas: Subject = {
  name: "state.jetstream, three replicas",
  driver,
  declares: declares(!OLD.test(natsVersion() ?? "2.9.10")),
  server: "none",
  skip: natsMissing(),
  start: startReplicas,
};
