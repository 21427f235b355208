// Cosmos DB behind connections that are cut again and again, and a server that is killed, while writers write: what was
// acknowledged is there, nothing is lost between, and the sidecar goes on by itself.
import assert from "node:assert/strict";
import { type CosmosServer, describeWithCosmosdb, startCosmosdb } from "#test/servers/cosmosdb.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 8;
const CUTS = 20;
const WAIT_MS = 25_000;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describeWithCosmosdb("Cosmos DB behind connections that are cut", () => {
  let server: CosmosServer;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async () => {
    server = await startCosmosdb();
    proxy = await TcpProxy.start(server);
    const metadata = { ...server.fields, url: `http://127.0.0.1:${proxy.port}` };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.azure.cosmosdb", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await proxy.stop();
    await server.stop();
  });

  it("loses no acknowledged write, and makes none that was not asked for", async function () {
    this.timeout(60_000);
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    let doubtful = 0;
    let stopped = false;
    const write = async (writer: number): Promise<void> => {
      for (let value = 1; !stopped; value++) {
        sent[writer] = value;
        const { status, text } = await ask(wire, "POST", STORE, [{ key: `w${writer}`, value }]);
        assert.ok(status === 204 || status === 500, `status ${status}: ${text}`);
        if (status === 500) assert.match(text, /may have happened|cannot connect to Cosmos DB/);
        if (text.includes("may have happened")) doubtful++;
        if (status === 204) acknowledged[writer] = value;
        const answer = await ask(wire, "GET", `${STORE}/w${writer}`);
        if (answer.status !== 200 || status !== 204) continue;
        // Nobody else writes this key: what was acknowledged is what a read sees.
        assert.equal(answer.text, String(value));
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    for (let turn = 0; turn < CUTS; turn++) {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0)));
      const doubtfulBefore = doubtful;
      proxy.mode = "cut-after-request";
      await until(() => doubtful > doubtfulBefore);
      proxy.mode = "pass";
      proxy.cut();
    }
    stopped = true;
    await writing;
    for (const [writer, value] of acknowledged.entries()) {
      const stored = Number((await ask(wire, "GET", `${STORE}/w${writer}`)).text);
      assert.ok(stored >= value && stored <= (sent[writer] ?? 0), `${stored} is not from ${value} to ${sent[writer]}`);
    }
  });

  it("serves again by itself when the server was killed and has come back", async function () {
    this.timeout(60_000);
    const save = async (): Promise<number> => (await ask(wire, "POST", STORE, [{ key: "k", value: 1 }])).status;
    assert.equal(await save(), 204);
    await server.kill9();
    assert.equal(await save(), 500);
    await server.restart();
    await until(async () => (await save()) === 204);
    assert.equal((await ask(wire, "GET", `${STORE}/k`)).text, "1");
  });
});
