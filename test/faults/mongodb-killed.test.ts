// A MongoDB whose connections break, and that is killed, while writers write: what was acknowledged is there, no update is
// lost, and the sidecar goes on by itself. mongo-java-server forgets all when it ends, so the kill comes last.
import assert from "node:assert/strict";
import { describeWithMongodb, type MongodbServer, startMongodb } from "#test/servers/mongodb.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { until } from "#test/wire/until.ts";
import { whileWriting } from "./writers.ts";

const CUTS = 5;
const FOUND_WITHIN_MS = 60_000;

describeWithMongodb("a MongoDB that fails", () => {
  let server: MongodbServer;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    server = await startMongodb();
    proxy = await TcpProxy.start(server);
    const metadata = { host: `127.0.0.1:${proxy.port}`, operationTimeout: "5s" };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.mongodb", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await proxy.stop();
    await server.stop();
  });

  it("loses no acknowledged write while its connections break", async function () {
    this.timeout(300_000);
    await whileWriting({ wire, by: "save" }, async (writers) => {
      for (let cut = 0; cut < CUTS; cut++) {
        await writers.goOn();
        proxy.cut();
      }
      // Several, so that what the server was still at at the last cut is long over.
      await writers.goOn();
    });
  });

  it("is found again after it was killed, without a restart of the sidecar", async function () {
    this.timeout(300_000);
    await server.kill9();
    const { status, text } = await ask(wire, "POST", STORE, [{ key: "killed", value: 1 }]);
    assert.equal(status, 500);
    assert.match(text, /mongodb at 127\.0\.0\.1/);
    await server.restart();
    const isSaved = async (): Promise<boolean> =>
      (await ask(wire, "POST", STORE, [{ key: "killed", value: 2 }])).status === 204;
    await until("a save succeeds", isSaved, FOUND_WITHIN_MS);
    assert.equal((await ask(wire, "GET", `${STORE}/killed`)).text, "2");
  });
});
