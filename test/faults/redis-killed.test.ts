// A Redis that dies under load: no write that was answered with success is lost, and the sidecar comes back by itself.
import assert from "node:assert/strict";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import { ask } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { untilHealthy, untilUnhealthy } from "./health.ts";
import { whileWriting } from "./writers.ts";

const WRITERS = 16;

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
    this.timeout(300_000);
    await whileWriting({ wire, writers: WRITERS, by: "save" }, async (writers) => {
      for (let kill = 0; kill < 3; kill++) {
        await writers.goOn(20);
        await server.kill9();
        await writers.areRefused(WRITERS);
        assert.equal(
          (await ask(wire, "GET", "/v1.0/healthz")).status,
          204,
          "one outage takes no pod out of its Service",
        );
        await server.restart();
        await writers.goOn(1);
      }
    });
  });

  it("says in its health and metrics that the store is down, and that it is back", async function () {
    this.timeout(300_000);
    await untilHealthy(wire);
    await server.kill9();
    assert.match(await untilUnhealthy(wire), new RegExp(`redis at 127\\.0\\.0\\.1:${server.port}`));
    assert.match(await scrape(), /pannier_store_up\{app_id="wire",component="statestore"\} 0/);
    await server.restart();
    await untilHealthy(wire);
    assert.match(await scrape(), /pannier_store_up\{app_id="wire",component="statestore"\} 1/);
  });

  async function scrape(): Promise<string> {
    return (await wire.ask("GET", "/", { port: wire.sidecar.metricsPort ?? 0 })).text;
  }
});
