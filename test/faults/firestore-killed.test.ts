// A Datastore that goes away and comes back, while writers write: what was acknowledged is there, no transaction is there by
// half, and the sidecar goes on by itself. The emulator keeps only what it can write to disk at its end, which the service
// does with each write: its clients are cut off first, in the middle of their requests.
import assert from "node:assert/strict";
import { type DatastoreServer, describeWithDatastore, startDatastore } from "#test/servers/datastore.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 8;
const CUTS = 3;
const WAIT_MS = 25_000;

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!condition()) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describeWithDatastore("a Datastore that goes away", () => {
  let server: DatastoreServer;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(60_000);
    server = await startDatastore();
    proxy = await TcpProxy.start(server);
    const metadata = { ...server.metadata, endpoint: `127.0.0.1:${proxy.port}` };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.gcp.firestore", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await proxy.stop();
    await server.stop();
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
        if (status === 500) assert.match(text, /datastore at 127\.0\.0\.1:\d+/);
        if (status === 204) acknowledged[writer] = value;
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    for (let cut = 0; cut < CUTS; cut++) {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0) + 5));
      proxy.mode = "refuse";
      await server.halt();
      await server.restart();
      proxy.mode = "pass";
    }
    const last = [...acknowledged];
    await until(() => acknowledged.every((value, writer) => value > (last[writer] ?? 0)));
    stopped = true;
    await writing;
    for (let writer = 0; writer < WRITERS; writer++) {
      const left = Number((await ask(wire, "GET", `${STORE}/left${writer}`)).text);
      const right = Number((await ask(wire, "GET", `${STORE}/right${writer}`)).text);
      assert.equal(left, right, "half a transaction");
      const want = acknowledged[writer] ?? 0;
      assert.ok(left >= want, `writer ${writer}: ${want} was acknowledged, ${left} is there`);
      assert.ok(left <= (sent[writer] ?? 0));
    }
  });

  it("loses no increment of callers that compare ETags, whatever is cut", async function () {
    this.timeout(120_000);
    const { status } = await ask(wire, "POST", STORE, [{ key: "count", value: 0 }]);
    assert.equal(status, 204);
    let [done, open, stopped] = [0, 0, false];
    const increment = async (): Promise<void> => {
      while (!stopped) {
        const { text, headers } = await ask(wire, "GET", `${STORE}/count`);
        if (headers.etag === undefined) continue;
        const item = { key: "count", value: Number(text) + 1, etag: headers.etag };
        const answer = await ask(wire, "POST", STORE, [item]);
        if (answer.status === 204) done++;
        else if (answer.status !== 409 && answer.text.includes("may have happened")) open++;
      }
    };
    const incrementing = Promise.all(Array.from({ length: WRITERS }, increment));
    for (let cut = 0; cut < CUTS; cut++) {
      const before = done;
      await until(() => done > before + 20);
      proxy.cut();
    }
    const last = done;
    await until(() => done > last);
    stopped = true;
    await incrementing;
    const count = Number((await ask(wire, "GET", `${STORE}/count`)).text);
    assert.ok(count >= done && count <= done + open, `${count}: ${done} were acknowledged, ${open} are open`);
  });
});
