// A master that dies under load, in a cluster and under sentinels: no strong write that was answered with success is lost,
// and the sidecar finds the new master by itself.
import assert from "node:assert/strict";
import { describeWithRedis } from "#test/servers/redis.ts";
import { startRedisCluster } from "#test/servers/redis-cluster.ts";
import { startRedisSentinels } from "#test/servers/redis-sentinel.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 12;
const RECOVERY_LIMIT_MS = 20_000;

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
    this.timeout(90_000);
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
      const acknowledged = new Array<number>(WRITERS).fill(0);
      const statuses = new Map<number, number>();
      let stopped = false;
      const write = async (writer: number): Promise<void> => {
        for (let value = 1; !stopped; value++) {
          const body = [{ key: `w${writer}`, value, options: { consistency: "strong" } }];
          const { status } = await ask(wire, "POST", STORE, body);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (status === 204) acknowledged[writer] = value;
          else await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
      try {
        await until(() => acknowledged.every((value) => value > 20));
        await shape?.killMaster();
        await until(() => statuses.has(500));
        assert.equal(
          (await ask(wire, "GET", "/v1.0/healthz")).status,
          204,
          "one outage takes no pod out of its Service",
        );
        const before = [...acknowledged];
        await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0) + 20));
        await until(async () => (await ask(wire, "GET", "/pannier/v1/health")).status === 200);
      } finally {
        stopped = true;
        await writing;
      }
      for (let writer = 0; writer < WRITERS; writer++) {
        const { text } = await ask(wire, "GET", `${STORE}/w${writer}`);
        assert.ok(
          Number(text) >= (acknowledged[writer] ?? 0),
          `writer ${writer}: ${acknowledged[writer]}, there is ${text}`,
        );
      }
      assert.deepEqual([...statuses.keys()].sort(), [204, 500]);
    });
  });
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + RECOVERY_LIMIT_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not within ${RECOVERY_LIMIT_MS} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
