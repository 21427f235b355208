// What the pages of Azure's storage show for looking into a store: each command as printed there, asked by Microsoft's own
// client, against what a sidecar has written.
import assert from "node:assert/strict";
import { type Azurite, describeWithAzurite, startAzurite } from "#test/servers/azurite.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

const DOWNLOAD = /^az storage blob download --container-name state --name '([^']+)' --file \S+$/;
const BLOBS = /^az storage blob list --container-name state --prefix '([^']+)' --query '\[\]\.name'$/;
const SHOW = /^az storage entity show --table-name state --partition-key '([^']+)' --row-key '([^']+)'$/;
const QUERY = /^az storage entity query --table-name state --filter "([^"]+)"$/;

function commandsOf(page: string, ...shapes: readonly RegExp[]): readonly (readonly string[])[] {
  const [block, ...more] = readPage(page).blocks.filter(({ language }) => language === "sh");
  assert.deepEqual([block !== undefined, more], [true, []]);
  const lines = (block?.text ?? "").trim().split("\n");
  assert.equal(lines.length, shapes.length);
  return lines.map((line, index) => {
    const found = shapes[index]?.exec(line);
    assert.ok(found, line);
    return found.slice(1);
  });
}

describeWithAzurite("a look into Azure's storage", () => {
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
    wire = await startWire({ manifests, settings: { appId: "orders-app" } });
    await save(wire, "order-1", '{"a": 1}', "/v1.0/state/blobs");
    await save(wire, "order-1", '{"a": 1}', "/v1.0/state/tables");
    const actor = [{ operation: "upsert", request: { key: "balance", value: 7 } }];
    await ask(wire, "POST", "/v1.0/actors/Account/alice/state", actor);
  });
  after(async () => {
    await wire.stop();
    await azurite.stop();
  });

  it("shows one blob, and the blobs of an app", async () => {
    const [[name = ""] = [], [prefix = ""] = []] = commandsOf("docs/stores/azure.blobstorage.md", DOWNLOAD, BLOBS);
    const container = azurite.container("state");
    assert.equal(String(await container.getBlobClient(name).downloadToBuffer()), '{"a": 1}');
    const names: string[] = [];
    for await (const blob of container.listBlobsFlat({ prefix })) names.push(blob.name);
    assert.deepEqual(names, ["orders-app||order-1"]);
  });

  it("shows one row, the rows of an app, and the state of an actor", async () => {
    const page = "docs/stores/azure.tablestorage.md";
    const [[partition = "", row = ""] = [], [all = ""] = [], [actor = ""] = []] = commandsOf(page, SHOW, QUERY, QUERY);
    const table = azurite.table("state");
    assert.equal((await table.getEntity(partition, row)).Value, '{"a": 1}');
    const rows = async (filter: string): Promise<readonly (readonly [unknown, unknown])[]> => {
      const found: (readonly [unknown, unknown])[] = [];
      for await (const entity of table.listEntities({ queryOptions: { filter } }))
        found.push([entity.rowKey, entity.Value]);
      return found;
    };
    const state = ["Account||alice||balance", "7"];
    assert.deepEqual(await rows(all), [state, ["order-1", '{"a": 1}']]);
    assert.deepEqual(await rows(actor), [state]);
  });
});
