// A MongoDB whose connections break, and that is killed, while writers write: what was acknowledged is there, no update is
// lost, and the sidecar goes on by itself. mongo-java-server forgets all when it ends, so the kill comes last.
import assert from "node:assert/strict";
import { describeWithMongodb, type MongodbServer, startMongodb } from "#test/servers/mongodb.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 8;
const CUTS = 5;
const WAIT_MS = 25_000;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describeWithMongodb("a MongoDB that fails", () => {
  let server: MongodbServer;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(90_000);
    server = await startMongodb();
    proxy = await TcpProxy.start(server);
    const metadata = { host: `127.0.0.1:${proxy.port}`, operationTimeout: "2s" };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.mongodb", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await proxy.stop();
    await server.stop();
  });

  it("loses no acknowledged write while its connections break", async function () {
    this.timeout(60_000);
    /** Per writer: the last number that was acknowledged, and the last that was sent. */
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    let stopped = false;
    const write = async (writer: number): Promise<void> => {
      for (let value = 1; !stopped; value++) {
        sent[writer] = value;
        const { status, text } = await ask(wire, "POST", STORE, [{ key: `writer${writer}`, value }]);
        assert.ok(status === 204 || status === 500, `status ${status}: ${text}`);
        if (status === 204) acknowledged[writer] = value;
        else await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    for (let cut = 0; cut < CUTS; cut++) {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0) + 5));
      proxy.cut();
    }
    const last = [...acknowledged];
    await until(() => acknowledged.every((value, writer) => value > (last[writer] ?? 0)));
    stopped = true;
    await writing;
    for (let writer = 0; writer < WRITERS; writer++) {
      const value = Number((await ask(wire, "GET", `${STORE}/writer${writer}`)).text);
      assert.ok(
        value >= (acknowledged[writer] ?? 0) && value <= (sent[writer] ?? 0),
        `${value} of ${acknowledged[writer]}`,
      );
    }
  });

  it("is found again after it was killed, without a restart of the sidecar", async function () {
    this.timeout(60_000);
    await server.kill9();
    const { status, text } = await ask(wire, "POST", STORE, [{ key: "killed", value: 1 }]);
    assert.equal(status, 500);
    assert.match(text, /mongodb at 127\.0\.0\.1/);
    await server.restart();
    await until(async () => (await ask(wire, "POST", STORE, [{ key: "killed", value: 2 }])).status === 204);
    assert.equal((await ask(wire, "GET", `${STORE}/killed`)).text, "2");
  });
});
