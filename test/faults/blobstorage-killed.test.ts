// A blob service that hangs, is cut off and dies under load: the sidecar answers in time and truthfully, tells in its health,
// and comes back by itself. Azurite keeps nothing over its own death: what it had is asked for only before.
import assert from "node:assert/strict";
import { type Azurite, describeWithAzurite, startAzurite } from "#test/servers/azurite.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { until } from "#test/wire/until.ts";
import { untilHealthy, untilUnhealthy } from "./health.ts";
import { whileRaising } from "./raising.ts";

const CUTS = 12;
const SERVES_WITHIN_MS = 60_000;

describeWithAzurite("a blob service under load", () => {
  let azurite: Azurite;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    azurite = await startAzurite();
    proxy = await TcpProxy.start({ host: "127.0.0.1", port: azurite.blobPort });
    const { account: accountName, key: accountKey } = azurite;
    const metadata = { accountName, accountKey, containerName: "state", endpoint: `http://127.0.0.1:${proxy.port}` };
    const manifest = component("statestore", "state.azure.blobstorage", metadata).replace("version: v1", "version: v2");
    wire = await startWire({ manifests: { "a.yaml": manifest } });
  });
  after(async () => {
    await wire.stop();
    await proxy.stop();
    await azurite.stop();
  });

  it("counts every acknowledged increment by ETag once while its connections are cut", async function () {
    this.timeout(300_000);
    const { doubtful, conflicts } = await whileRaising({ wire, callers: 8 }, async (raises) => {
      for (let cut = 0; cut < CUTS; cut++) {
        await raises.goOn(4);
        proxy.cut();
      }
    });
    assert.ok(doubtful > 0 && conflicts > 0, "no cut met a write");
  });

  it("says in its health that the service is down, and that it is back", async function () {
    this.timeout(300_000);
    await untilHealthy(wire);
    await azurite.kill9();
    assert.match(await untilUnhealthy(wire), /Azure Blob Storage at 127\.0\.0\.1/);
    await azurite.restart();
    const container = azurite.container("state");
    await until("there is a container", async () => (await container.createIfNotExists()).requestId !== undefined);
    await untilHealthy(wire);
    assert.equal((await ask(wire, "POST", STORE, [{ key: "after", value: 1 }])).status, 204);
  });

  it("ends a request in time while the service hangs, and says that it may have happened", async function () {
    this.timeout(300_000);
    azurite.pause();
    const failed = ask(wire, "POST", STORE, [{ key: "hangs", value: 1 }]);
    const { status, text } = await failed;
    azurite.resume();
    assert.equal(status, 500);
    assert.match(text, /no answer from Azure Blob Storage at .* in time; the write may have happened/);
    const isSaved = async (): Promise<boolean> =>
      (await ask(wire, "POST", STORE, [{ key: "hangs", value: 2 }])).status === 204;
    await until("a save succeeds", isSaved, SERVES_WITHIN_MS);
  });
});
