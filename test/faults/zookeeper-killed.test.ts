// An ensemble of ZooKeeper whose servers are killed one after the other while writers write: what was acknowledged is
// there, no transaction is there by half, and the sidecar goes on by itself. Then one that only hangs.
import assert from "node:assert/strict";
import { describeWithZooKeeper, startZooKeepers, type ZooKeeperServer } from "#test/servers/zookeeper.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 8;
const WAIT_MS = 25_000;

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!condition()) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describeWithZooKeeper("a ZooKeeper ensemble whose servers are killed", () => {
  let servers: readonly ZooKeeperServer[];
  let wire: WireSidecar;

  before(async function () {
    this.timeout(60_000);
    servers = await startZooKeepers(3);
    const addresses = servers.map(({ address }) => address).join(",");
    const metadata = { servers: addresses, sessionTimeout: "4s", keyPrefixPath: "/dapr" };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.zookeeper", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(120_000);
    /** Per writer: the last number that was acknowledged, and the last that was sent. */
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    let stopped = false;
    const write = async (writer: number): Promise<void> => {
      for (let value = 1; !stopped; value++) {
        sent[writer] = value;
        const operations = ["left", "right"].map((side) => ({
          operation: "upsert",
          request: { key: `${side}${writer}`, value },
        }));
        const { status, text } = await ask(wire, "POST", `${STORE}/transaction`, { operations });
        assert.ok(status === 204 || status === 500, `status ${status}: ${text}`);
        if (status === 204) acknowledged[writer] = value;
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const goesOn = async (): Promise<void> => {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0) + 5));
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    for (const server of servers) {
      await goesOn();
      await server.kill9();
      await goesOn();
      await server.restart();
    }
    for (const server of servers) {
      server.pause();
      try {
        await goesOn();
      } finally {
        server.resume();
      }
      await goesOn();
    }
    stopped = true;
    await writing;
    for (let writer = 0; writer < WRITERS; writer++) {
      const left = Number((await ask(wire, "GET", `${STORE}/left${writer}?consistency=strong`)).text);
      const right = Number((await ask(wire, "GET", `${STORE}/right${writer}?consistency=strong`)).text);
      assert.equal(left, right, "half a transaction");
      assert.ok(
        left >= (acknowledged[writer] ?? 0),
        `writer ${writer}: ${acknowledged[writer]} was acknowledged, ${left} is there`,
      );
      assert.ok(left <= (sent[writer] ?? 0));
    }
  });
});
