// A memcached that dies under load, one of two: the sidecar answers, tells in its health, and comes back by itself.
import assert from "node:assert/strict";
import { describeWithMemcached, type MemcachedServer, startMemcached } from "#test/servers/memcached.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { untilHealthy, untilUnhealthy } from "./health.ts";
import { whileWriting } from "./writers.ts";

const WRITERS = 16;

describeWithMemcached("memcached killed under load", () => {
  let lasting: MemcachedServer;
  let killed: MemcachedServer;
  let wire: WireSidecar;

  before(async () => {
    [lasting, killed] = await Promise.all([startMemcached(), startMemcached()]);
    const metadata = { hosts: `${lasting.address},${killed.address}`, etags: "true" };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.memcached", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await Promise.all([lasting.stop(), killed.stop()]);
  });

  it("goes on with the keys of the other server, loses none of them, and takes the dead one back", async function () {
    this.timeout(300_000);
    const { acknowledged } = await whileWriting(
      { wire, writers: WRITERS, by: "save", keeps: false },
      async (writers) => {
        for (let kill = 0; kill < 3; kill++) {
          await writers.goOn(1);
          await killed.kill9();
          await writers.areRefused(WRITERS + 1);
          const down = [...writers.acknowledged];
          await writers.until("the other server's keys are written", () =>
            writers.acknowledged.some((value, writer) => value > (down[writer] ?? 0)),
          );
          await killed.restart();
        }
        await writers.goOn(1);
      },
    );
    for (const [writer, value] of acknowledged.entries())
      assert.equal((await ask(wire, "GET", `${STORE}/w${writer}`)).text, String(value));
  });

  it("says in its health which server is down, and that it is back", async function () {
    this.timeout(300_000);
    await untilHealthy(wire);
    await killed.kill9();
    assert.match(await untilUnhealthy(wire), new RegExp(`memcached at ${killed.address}`));
    await killed.restart();
    await untilHealthy(wire);
  });
});
