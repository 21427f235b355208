// A table of Azure's whose connections are cut while writers write transactions: what was acknowledged is there, none is
// there by half, and the sidecar goes on by itself. Azurite keeps nothing over its own death, so it is not killed here.
import assert from "node:assert/strict";
import { type Azurite, describeWithAzurite, startAzurite } from "#test/servers/azurite.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileWriting } from "./writers.ts";

const CUTS = 12;

describeWithAzurite("a table of Azure's whose connections are cut", () => {
  let azurite: Azurite;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    azurite = await startAzurite();
    proxy = await TcpProxy.start({ host: "127.0.0.1", port: azurite.tablePort });
    const { account: accountName, key: accountKey } = azurite;
    const serviceURL = `http://127.0.0.1:${proxy.port}/${accountName}`;
    const metadata = { accountName, accountKey, tableName: "state", serviceURL };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.azure.tablestorage", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await proxy.stop();
    await azurite.stop();
  });

  it("loses no acknowledged transaction and none by half", async function () {
    this.timeout(300_000);
    let failures = 0;
    const refused = async (text: string): Promise<void> => {
      failures++;
      assert.match(text, /may have happened|cannot connect/);
      // What the emulator was still at is done by then.
      await new Promise((resolve) => setTimeout(resolve, 50));
    };
    await whileWriting({ wire, by: "transaction", refused }, async (writers) => {
      for (let cut = 0; cut < CUTS; cut++) {
        await writers.goOn(1);
        proxy.cut();
      }
      // Several, so that what the emulator was still at at the last cut is long over.
      await writers.goOn();
    });
    assert.ok(failures > 0, "no cut met a transaction");
  });
});
