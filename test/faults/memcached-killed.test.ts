// A memcached that dies under load, one of two: the sidecar answers, tells in its health, and comes back by itself.
import assert from "node:assert/strict";
import { describeWithMemcached, type MemcachedServer, startMemcached } from "#test/servers/memcached.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 16;
const WAIT_MS = 15_000;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

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
    this.timeout(60_000);
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const statuses = new Map<number, number>();
    let stopped = false;
    const write = async (writer: number): Promise<void> => {
      for (let value = 1; !stopped; value++) {
        const { status } = await ask(wire, "POST", STORE, [{ key: `w${writer}`, value }]);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status === 204) acknowledged[writer] = value;
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    for (let kill = 0; kill < 3; kill++) {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0)));
      const failedBefore = statuses.get(500) ?? 0;
      await killed.kill9();
      await until(() => (statuses.get(500) ?? 0) > failedBefore + WRITERS);
      const down = [...acknowledged];
      await until(() => acknowledged.some((value, writer) => value > (down[writer] ?? 0)));
      await killed.restart();
    }
    const last = [...acknowledged];
    await until(() => acknowledged.every((value, writer) => value > (last[writer] ?? 0)));
    stopped = true;
    await writing;
    for (let writer = 0; writer < WRITERS; writer++)
      assert.equal((await ask(wire, "GET", `${STORE}/w${writer}`)).text, String(acknowledged[writer]));
    assert.deepEqual([...statuses.keys()].sort(), [204, 500]);
  });

  it("says in its health which server is down, and that it is back", async function () {
    this.timeout(60_000);
    const up = async (): Promise<boolean> => (await ask(wire, "GET", "/pannier/v1/health")).status === 200;
    await until(up);
    await killed.kill9();
    await until(async () => !(await up()));
    const health = JSON.parse((await ask(wire, "GET", "/pannier/v1/health")).text);
    assert.match(health.stores[0].message, new RegExp(`memcached at ${killed.address}`));
    await killed.restart();
    await until(up);
  });
});
