// A blob service that hangs, is cut off and dies under load: the sidecar answers in time and truthfully, tells in its health,
// and comes back by itself. Azurite keeps nothing over its own death: what it had is asked for only before.
import assert from "node:assert/strict";
import { type Azurite, describeWithAzurite, startAzurite } from "#test/servers/azurite.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 8;
const CUTS = 12;
const WAIT_MS = 20_000;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describeWithAzurite("a blob service under load", () => {
  let azurite: Azurite;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(60_000);
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

  const counter = async (): Promise<{ etag: string; value: number }> => {
    const { status, headers, text } = await ask(wire, "GET", `${STORE}/counter`);
    return status === 200 ? { etag: String(headers.etag), value: Number(text) } : { etag: "", value: Number.NaN };
  };

  it("counts every acknowledged increment by ETag once while its connections are cut", async function () {
    this.timeout(60_000);
    await ask(wire, "POST", STORE, [{ key: "counter", value: 0 }]);
    let [acknowledged, doubtful, conflicts] = [0, 0, 0];
    let stopped = false;
    const increment = async (): Promise<void> => {
      while (!stopped) {
        const { etag, value } = await counter();
        if (etag === "") continue;
        const { status } = await ask(wire, "POST", STORE, [{ key: "counter", value: value + 1, etag }]);
        assert.ok(status === 204 || status === 409 || status === 500, `status ${status}`);
        if (status === 204) acknowledged++;
        else if (status === 409) conflicts++;
        else doubtful++;
      }
    };
    const counting = Promise.all(Array.from({ length: WRITERS }, increment));
    for (let cut = 0; cut < CUTS; cut++) {
      const before = acknowledged;
      await until(() => acknowledged > before + 3);
      proxy.cut();
    }
    stopped = true;
    await counting;
    const { value } = await counter();
    assert.ok(value >= acknowledged && value <= acknowledged + doubtful, `${value}, ${acknowledged} + ${doubtful}`);
    assert.ok(doubtful > 0 && conflicts > 0, "no cut met a write");
  });

  it("says in its health that the service is down, and that it is back", async function () {
    this.timeout(60_000);
    const isUp = async (): Promise<boolean> => (await ask(wire, "GET", "/pannier/v1/health")).status === 200;
    await until(isUp);
    await azurite.kill9();
    await until(async () => !(await isUp()));
    const { text } = await ask(wire, "GET", "/pannier/v1/health");
    assert.match(text, /Azure Blob Storage at 127\.0\.0\.1/);
    await azurite.restart();
    await until(async () => (await azurite.container("state").createIfNotExists()).requestId !== undefined);
    await until(isUp);
    assert.equal((await ask(wire, "POST", STORE, [{ key: "after", value: 1 }])).status, 204);
  });

  it("ends a request in time while the service hangs, and says that it may have happened", async function () {
    this.timeout(60_000);
    azurite.pause();
    const failed = ask(wire, "POST", STORE, [{ key: "hangs", value: 1 }]);
    const { status, text } = await failed;
    azurite.resume();
    assert.equal(status, 500);
    assert.match(text, /no answer from Azure Blob Storage at .* in time; the write may have happened/);
    await until(async () => (await ask(wire, "POST", STORE, [{ key: "hangs", value: 2 }])).status === 204);
  });
});
