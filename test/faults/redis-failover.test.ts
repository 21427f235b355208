// A master that dies under load, in a cluster and under sentinels: no strong write that was answered with success is lost,
// and the sidecar finds the new master by itself.
import assert from "node:assert/strict";
import { describeWithRedis } from "#test/servers/redis.ts";
import { startRedisCluster } from "#test/servers/redis-cluster.ts";
import { startRedisSentinels } from "#test/servers/redis-sentinel.ts";
import { ask } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { untilHealthy } from "./health.ts";
import { whileWriting } from "./writers.ts";

interface Shape {
  readonly metadata: Readonly<Record<string, string>>;
  killMaster(): Promise<void>;
  stop(): Promise<void>;
}

const SHAPES: Readonly<Record<string, () => Promise<Shape>>> = {
  async "Redis cluster"() {
    const cluster = await startRedisCluster();
    const metadata = { redisHost: cluster.hosts, redisType: "cluster" };
    return { metadata, killMaster: async () => cluster.nodes[0]?.kill9(), stop: () => cluster.stop() };
  },
  async "Redis under sentinels"() {
    const under = await startRedisSentinels();
    const metadata = { redisHost: under.hosts, failover: "true", sentinelMasterName: under.masterName };
    const killMaster = async (): Promise<void> => under.servers[await under.master()]?.kill9();
    return { metadata, killMaster, stop: () => under.stop() };
  },
};

for (const [name, start] of Object.entries(SHAPES)) {
  describeWithRedis(`a master of a ${name} killed under load`, function () {
    this.timeout(300_000);
    let shape: Shape | null = null;
    let wire: WireSidecar;

    before(async () => {
      shape = await start();
      wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.redis", shape.metadata) } });
    });
    after(async () => {
      await wire?.stop();
      await shape?.stop();
    });

    it("loses no acknowledged strong write, answers the others with 500, and recovers", async () => {
      await whileWriting({ wire, writers: 12, by: "save", strongWrites: true }, async (writers) => {
        await writers.goOn(21);
        await shape?.killMaster();
        await writers.areRefused(1);
        assert.equal(
          (await ask(wire, "GET", "/v1.0/healthz")).status,
          204,
          "one outage takes no pod out of its Service",
        );
        await writers.goOn(21);
        await untilHealthy(wire);
      });
    });
  });
}
