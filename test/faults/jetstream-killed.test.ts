// A cluster of NATS servers that are killed one after the other while writers write: what was acknowledged is there, no
// update is lost among writers with ETags where the servers are new enough for them, and the sidecar goes on by itself.
import assert from "node:assert/strict";
import { keepsConditions } from "#sidecar/stores/jetstream/versions.ts";
import { describeWithNats, type NatsServer, natsVersion, openBucket, startNatsServers } from "#test/servers/nats.ts";
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

describeWithNats("a NATS cluster whose servers are killed", () => {
  let servers: readonly NatsServer[];
  let wire: WireSidecar;

  before(async function () {
    this.timeout(60_000);
    servers = await startNatsServers(3);
    const natsURL = servers.map(({ url }) => url).join(",");
    await (await openBucket(natsURL, "state", { replicas: 3 })).close();
    const metadata = { natsURL, bucket: "state" };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.jetstream", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it("loses no acknowledged write, no update to another, and is found again", async function () {
    this.timeout(120_000);
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    let stopped = false;
    const write = async (writer: number): Promise<void> => {
      for (let value = 1; !stopped; value++) {
        sent[writer] = value;
        const { status, text } = await ask(wire, "POST", STORE, [{ key: `w${writer}`, value }]);
        assert.ok(status === 204 || status === 500, `status ${status}: ${text}`);
        if (status === 204) acknowledged[writer] = value;
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    /** How often the count was raised for sure, and how often perhaps. */
    const raised = { surely: 0, perhaps: 0 };
    assert.equal((await ask(wire, "POST", STORE, [{ key: "count", value: 0 }])).status, 204);
    const count = async (): Promise<void> => {
      while (!stopped) {
        const { status, text, headers } = await ask(wire, "GET", `${STORE}/count?consistency=strong`);
        if (status !== 200) continue;
        const item = { key: "count", value: Number(text) + 1, etag: headers.etag };
        const answer = await ask(wire, "POST", STORE, [item]);
        if (answer.status === 204) raised.surely++;
        else if (answer.status === 500) raised.perhaps++;
      }
    };
    const goesOn = async (): Promise<void> => {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0) + 5));
    };
    const counting = keepsConditions(natsVersion() ?? "", servers.length) ? [count(), count()] : [];
    const writing = Promise.all([...counting, ...Array.from({ length: WRITERS }, (_, writer) => write(writer))]);
    for (const server of servers) {
      await goesOn();
      await server.kill9();
      await goesOn();
      await server.restart();
    }
    await goesOn();
    stopped = true;
    await writing;
    for (let writer = 0; writer < WRITERS; writer++) {
      const found = Number((await ask(wire, "GET", `${STORE}/w${writer}?consistency=strong`)).text);
      assert.ok(found >= (acknowledged[writer] ?? 0), `${acknowledged[writer]} was acknowledged, ${found} is there`);
      assert.ok(found <= (sent[writer] ?? 0));
    }
    const total = Number((await ask(wire, "GET", `${STORE}/count?consistency=strong`)).text);
    assert.ok(
      total >= raised.surely && total <= raised.surely + raised.perhaps,
      `${total} of ${JSON.stringify(raised)}`,
    );
  });
});
