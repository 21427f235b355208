// Cosmos DB behind connections that are cut again and again, and a server that is killed, while writers write: what was
// acknowledged is there, nothing is lost between, and the sidecar goes on by itself.
import assert from "node:assert/strict";
import { type CosmosServer, describeWithCosmosdb, startCosmosdb } from "#test/servers/cosmosdb.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { until } from "#test/wire/until.ts";
import { whileWriting } from "./writers.ts";

const CUTS = 20;
const FOUND_WITHIN_MS = 60_000;

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
    this.timeout(300_000);
    let doubtful = 0;
    const refused = (text: string): void => {
      assert.match(text, /may have happened|cannot connect to Cosmos DB/);
      if (text.includes("may have happened")) doubtful++;
    };
    /** Nobody else writes this key: what was acknowledged is what a read sees. */
    const acknowledged = async (writer: number, value: number): Promise<void> => {
      const { status, text } = await ask(wire, "GET", `${STORE}/w${writer}`);
      if (status === 200) assert.equal(text, String(value));
    };
    await whileWriting({ wire, by: "save", refused, acknowledged }, async (writers) => {
      for (let turn = 0; turn < CUTS; turn++) {
        await writers.goOn(1);
        const before = doubtful;
        proxy.mode = "cut-after-request";
        await writers.until("a write is in doubt", () => doubtful > before);
        proxy.mode = "pass";
        proxy.cut();
      }
    });
  });

  it("serves again by itself when the server was killed and has come back", async function () {
    this.timeout(300_000);
    const save = async (): Promise<number> => (await ask(wire, "POST", STORE, [{ key: "k", value: 1 }])).status;
    assert.equal(await save(), 204);
    await server.kill9();
    assert.equal(await save(), 500);
    await server.restart();
    await until("a save succeeds", async () => (await save()) === 204, FOUND_WITHIN_MS);
    assert.equal((await ask(wire, "GET", `${STORE}/k`)).text, "1");
  });
});
