// The subject of state.zookeeper: a server of its own, which can be killed, started again and stopped in the middle, or
// the ensemble that PANNIER_TEST_ZOOKEEPER_SERVERS names.
import { randomUUID } from "node:crypto";
import { driver } from "#sidecar/stores/zookeeper/zookeeper.ts";
import { startZooKeeper, zooKeeperMissing, zooKeeperServers } from "#test/servers/zookeeper.ts";
import { ownServer, properties, type Running, type Subject } from "./subject.ts";
import { zooKeeperTold } from "./told.ts";

const named = zooKeeperServers();
const SESSION_TIMEOUT = "10s";

async function start(): Promise<Running> {
  const zooKeeper = await startZooKeeper();
  const metadata = { servers: zooKeeper.address, sessionTimeout: SESSION_TIMEOUT, keyPrefixPath: "/dapr" };
  return ownServer(zooKeeper, metadata, () => zooKeeperTold(zooKeeper.address));
}

/** Keys of a run of its own; nothing is done to the servers. */
async function join(servers: string): Promise<Running> {
  const keyPrefixPath = `/pannier-test/${randomUUID()}`;
  return {
    properties: properties({ servers, sessionTimeout: SESSION_TIMEOUT, keyPrefixPath }),
    server: null,
    tells: () => zooKeeperTold(servers),
    stop: () => Promise.resolve(),
  };
}

export const zooKeeper: Subject = {
  name: "state.zookeeper",
  driver,
  declares: {
    features: { etag: true, transactions: true, ttl: false, list: false },
    limits: { valueBytesMax: 1_032_192, keyBytesMax: 2048, operationsMax: null, ttlSecMin: 1 },
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
  server: named === null ? "pause" : "none",
  skip: named === null ? zooKeeperMissing() : null,
  start: named === null ? start : () => join(named),
};
