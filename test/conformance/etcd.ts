// The subjects of state.etcd, both versions: one server each, which can be killed, started again and stopped in the
// middle.
import { driver } from "#sidecar/stores/etcd/etcd.ts";
import { etcdMissing, startEtcd } from "#test/servers/etcd.ts";
import { type Declaration, ownServer, type Subject } from "./subject.ts";
import { etcdTold } from "./told.ts";

const declares: Declaration = {
  features: { etag: true, transactions: true, ttl: true, list: true },
  limits: { valueBytesMax: null, keyBytesMax: null, operationsMax: 128, ttlSecMin: 2 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "conflict",
    ttlStepMs: 1000,
    durable: true,
    listOrder: "key",
    queryStrings: "typed",
  },
};

function subject(version: "v1" | "v2", keyPrefixPath: string): Subject {
  const ofVersion = driver.byVersion?.[version];
  if (ofVersion === undefined) throw new Error(`state.etcd has no version ${version}`);
  return {
    name: `state.etcd ${version}`,
    driver: ofVersion,
    declares,
    server: "pause",
    skip: etcdMissing(),
    async start() {
      const etcd = await startEtcd();
      return ownServer(etcd, { endpoints: etcd.address, keyPrefixPath }, () => etcdTold(etcd));
    },
  };
}

export const etcdV1: Subject = subject("v1", "");
export const etcdV2: Subject = subject("v2", "dapr");
