// A table of Azure's whose connections are cut while writers write transactions: what was acknowledged is there, none is
// there by half, and the sidecar goes on by itself. Azurite keeps nothing over its own death, so it is not killed here.
import assert from "node:assert/strict";
import { type Azurite, describeWithAzurite, startAzurite } from "#test/servers/azurite.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 8;
const CUTS = 12;
const WAIT_MS = 20_000;

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!condition()) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describeWithAzurite("a table of Azure's whose connections are cut", () => {
  let azurite: Azurite;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(60_000);
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
    this.timeout(60_000);
    /** Per writer: the last number that was acknowledged, and the last that was sent. */
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    let failures = 0;
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
        else {
          failures++;
          assert.match(text, /may have happened|cannot connect/);
          // What the emulator was still at is done by then.
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    for (let cut = 0; cut < CUTS; cut++) {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0)));
      proxy.cut();
    }
    const last = [...acknowledged];
    await until(() => acknowledged.every((value, writer) => value > (last[writer] ?? 0)));
    stopped = true;
    await writing;
    assert.ok(failures > 0, "no cut met a transaction");
    for (let writer = 0; writer < WRITERS; writer++) {
      const left = Number((await ask(wire, "GET", `${STORE}/left${writer}`)).text);
      const right = Number((await ask(wire, "GET", `${STORE}/right${writer}`)).text);
      assert.equal(left, right, "half a transaction");
      assert.ok(left >= (acknowledged[writer] ?? 0) && left <= (sent[writer] ?? 0), `${left} after ${acknowledged}`);
    }
  });
});
