// A Redis that dies under load: no write that was answered with success is lost, and the sidecar comes back by itself.
import assert from "node:assert/strict";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 16;
const RECOVERY_LIMIT_MS = 15_000;

describeWithRedis("Redis killed under load", () => {
  let server: RedisServer;
  let wire: WireSidecar;

  before(async () => {
    // Synced on every write: what it has acknowledged, it has kept.
    server = await startRedis({ appendOnly: true });
    const manifests = { "a.yaml": component("statestore", "state.redis", { redisHost: `127.0.0.1:${server.port}` }) };
    wire = await startWire({ manifests });
  });

  after(async () => {
    await wire.stop();
    await server.stop();
  });

  it("loses no acknowledged write, answers the others with 500, and recovers", async function () {
    this.timeout(60_000);
    /** Per writer: the last number that was acknowledged, and the last that was sent. */
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    const statuses = new Map<number, number>();
    let stopped = false;

    const write = async (writer: number): Promise<void> => {
      for (let value = 1; !stopped; value++) {
        sent[writer] = value;
        const answer = await ask(wire, "POST", STORE, [{ key: `w${writer}`, value }]);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status === 204) acknowledged[writer] = value;
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));

    for (let kill = 0; kill < 3; kill++) {
      await until(() => acknowledged.every((value) => value > kill * 20));
      await server.kill9();
      const before = [...acknowledged];
      await until(() => (statuses.get(500) ?? 0) > kill * WRITERS);
      assert.equal((await ask(wire, "GET", "/v1.0/healthz")).status, 204, "one outage takes no pod out of its Service");
      await server.restart();
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0)));
    }
    stopped = true;
    await writing;

    for (let writer = 0; writer < WRITERS; writer++) {
      const answer = await ask(wire, "GET", `${STORE}/w${writer}`);
      assert.equal(answer.status, 200, answer.text);
      const stored = Number(answer.text);
      assert.ok(
        stored >= (acknowledged[writer] ?? 0),
        `writer ${writer}: ${acknowledged[writer]} was acknowledged, ${stored} is there`,
      );
      assert.ok(stored <= (sent[writer] ?? 0));
    }
    assert.deepEqual([...statuses.keys()].sort(), [204, 500]);
  });

  it("says in its health and metrics that the store is down, and that it is back", async function () {
    this.timeout(60_000);
    const up = async (): Promise<boolean> => (await ask(wire, "GET", "/pannier/v1/health")).status === 200;
    await until(up);
    await server.kill9();
    await until(async () => !(await up()));
    const health = JSON.parse((await ask(wire, "GET", "/pannier/v1/health")).text);
    assert.match(health.stores[0].message, new RegExp(`redis at 127\\.0\\.0\\.1:${server.port}`));
    assert.match(await scrape(), /pannier_store_up\{app_id="wire",component="statestore"\} 0/);
    await server.restart();
    await until(up);
    assert.match(await scrape(), /pannier_store_up\{app_id="wire",component="statestore"\} 1/);
  });

  async function scrape(): Promise<string> {
    return (await wire.ask("GET", "/", { port: wire.sidecar.metricsPort ?? 0 })).text;
  }

  async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    const end = Date.now() + RECOVERY_LIMIT_MS;
    while (!(await holds())) {
      assert.ok(Date.now() < end, `not within ${RECOVERY_LIMIT_MS} ms: ${holds}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
});
