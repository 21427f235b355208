// The rows of docs/differences.md that show on Azure's blobs and tables, over HTTP against the emulator.
import assert from "node:assert/strict";
import { judge } from "#test/docs/judgement.ts";
import { type Azurite, describeWithAzurite, startAzurite } from "#test/servers/azurite.ts";
import { ask, save } from "#test/wire/client.ts";
import { type Answer, component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithAzurite("differences on Azure's storage", () => {
  let azurite: Azurite;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(120_000);
    azurite = await startAzurite();
    const { account: accountName, key: accountKey, blobEndpoint: endpoint, tableEndpoint: serviceURL } = azurite;
    const blobs = { accountName, accountKey, containerName: "state", endpoint };
    const tables = { accountName, accountKey, tableName: "state", serviceURL, actorStateStore: "true" };
    const manifests = {
      "a.yaml": component("blobs", "state.azure.blobstorage", blobs).replace("version: v1", "version: v2"),
      "b.yaml": component("tables", "state.azure.tablestorage", tables),
    };
    wire = await startWire({ manifests });
  });
  after(async () => {
    await wire.stop();
    await azurite.stop();
  });

  const to = (store: string): string => `/v1.0/state/${store}`;
  const put = async (store: string, ...items: object[]): Promise<number> =>
    (await ask(wire, "POST", to(store), items)).status;
  const get = (store: string, key: string): Promise<Answer> => ask(wire, "GET", `${to(store)}/${key}`);
  const text = async (store: string, key: string): Promise<string> => (await get(store, key)).text;
  const firstWrite = { options: { concurrency: "first-write" } };
  const remove = async (store: string, key: string, etag: string): Promise<number> =>
    (await ask(wire, "DELETE", `${to(store)}/${key}`, undefined, { "if-match": etag })).status;

  it("BL1: version v1, and an empty one, are refused with what to do", async () => {
    const settings = { accountName: "orders", accountKey: azurite.key, containerName: "state" };
    const v1 = component("other", "state.azure.blobstorage", settings);
    for (const manifest of [v1, v1.replace("version: v1\n", 'version: ""\n')]) {
      const { code, report } = await judge(manifest);
      assert.equal(code, 1);
      assert.match(report, /want version: v2.*keyPrefix: none/);
    }
  });

  it("BL2: a first-write over an existing key is a conflict", async () => {
    await save(wire, "bl2", "1", to("blobs"));
    assert.equal(await put("blobs", { key: "bl2", value: 2, ...firstWrite }), 409);
    assert.equal(await text("blobs", "bl2"), "1");
  });

  it("BL3: a delete with an ETag, of a key that is not there, is a conflict", async () => {
    assert.equal(await remove("blobs", "bl3", '"0x8DC000000000000"'), 409);
  });

  it("BL4: keys that the service takes for one another are different values", async () => {
    await put("blobs", { key: "bl4\\a", value: 1 }, { key: "bl4/a", value: 2 }, { key: "bl4.", value: 3 });
    await save(wire, "bl4", "4", to("blobs"));
    const keys = ["bl4%5Ca", "bl4%2Fa", "bl4.", "bl4"];
    assert.deepEqual(await Promise.all(keys.map((key) => text("blobs", key))), ["1", "2", "3", "4"]);
  });

  it("BL5: metadata that the service cannot hold is left out", async () => {
    const metadata = { "1st": "x", "€": "y", kept: "z\n" };
    assert.equal(await put("blobs", { key: "bl5", value: 1, metadata }), 204);
    const blob = azurite.container("state").getBlobClient("wire||bl5");
    assert.deepEqual((await blob.getProperties()).metadata, { kept: "z" });
  });

  it("TB1: keys with more bars are rows of their own", async () => {
    const state = (actor: string, value: number): Promise<Answer> =>
      ask(wire, "POST", `/v1.0/actors/Cat/${actor}/state`, [{ operation: "upsert", request: { key: "food", value } }]);
    await state("leroy", 1);
    await state("tom", 2);
    const food = async (actor: string): Promise<string> =>
      (await ask(wire, "GET", `/v1.0/actors/Cat/${actor}/state/food`)).text;
    assert.deepEqual([await food("leroy"), await food("tom")], ["1", "2"]);
  });

  it("TB2: an update with an ETag creates nothing", async () => {
    const etag = "W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\"";
    assert.equal(await put("tables", { key: "tb2", value: 1, etag }), 409);
    assert.equal((await get("tables", "tb2")).status, 204);
  });

  it("TB3: a delete with an ETag that the service cannot answer is no conflict", async () => {
    await save(wire, "tb3", "1", to("tables"));
    const etag = String((await get("tables", "tb3")).headers.etag);
    await azurite.kill9();
    const status = await remove("tables", "tb3", etag);
    await azurite.restart();
    await azurite.container("state").createIfNotExists();
    await azurite.table("state").createTable();
    assert.equal(status, 500);
  });

  it("TB4: there are transactions", async () => {
    const operations = ["a", "b"].map((key) => ({ operation: "upsert", request: { key: `tb4-${key}`, value: key } }));
    assert.equal((await ask(wire, "POST", `${to("tables")}/transaction`, { operations })).status, 204);
    assert.deepEqual([await text("tables", "tb4-a"), await text("tables", "tb4-b")], ['"a"', '"b"']);
  });

  it("TB5: bytes that are no text come back as they were", async () => {
    const table = azurite.table("state");
    await table.upsertEntity({ partitionKey: "wire", rowKey: "tb5", Value: Buffer.of(0xff, 0, 0x7b) });
    assert.deepEqual((await get("tables", "tb5")).bytes, Buffer.of(0xff, 0, 0x7b));
  });

  it("TB6: keys have characters that the service does not take", async () => {
    const keys = ["tb6/a", "tb6\\a", "tb6#a", "tb6?a", "tb6\na"];
    assert.equal(await put("tables", ...keys.map((key, value) => ({ key, value }))), 204);
    const values = await Promise.all(keys.map((key) => text("tables", encodeURIComponent(key))));
    assert.deepEqual(values, ["0", "1", "2", "3", "4"]);
  });
});
