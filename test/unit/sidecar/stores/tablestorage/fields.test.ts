// The fields of state.azure.tablestorage, and where the account is that they name.
import assert from "node:assert/strict";
import { decodeFields } from "#crds/fields.ts";
import { baseOf, fields } from "#sidecar/stores/tablestorage/fields.ts";
import { prepare } from "../azure/fixture.ts";

const KEY = Buffer.from("sixteen bytes, or more").toString("base64");
const PLAIN = { accountName: "orders", accountKey: KEY, tableName: "state" };

function faultsOf(given: Readonly<Record<string, string>>): readonly (readonly [string, string | null])[] {
  return prepare("tables", given).faults.map(({ field, got }) => [field, got]);
}

function base(more: Readonly<Record<string, string>>): string {
  const properties = Object.entries({ ...PLAIN, ...more }).map(([name, value]) => ({ name, value, secret: false }));
  const { settings } = decodeFields(fields, properties, { others: [], page: "" });
  assert.ok(settings !== null);
  return baseOf(settings).href;
}

describe("the fields of state.azure.tablestorage", () => {
  it("are all of Dapr's, under all of their names", () => {
    const given = {
      storageAccount: "orders",
      accessKey: KEY,
      storageAccountTable: "state",
      cosmosDbMode: "false",
      serviceURL: "https://orders.table.core.windows.net/",
      skipCreateTable: "true",
    };
    assert.deepEqual(faultsOf(given), []);
  });

  it("name the service of the cloud, Cosmos DB, or another address as it is", () => {
    assert.equal(base({}), "https://orders.table.core.windows.net/");
    assert.equal(base({ azureCloud: "AzureUSGovernmentCloud" }), "https://orders.table.core.usgovcloudapi.net/");
    assert.equal(base({ cosmosDbMode: "true" }), "https://orders.table.cosmos.azure.com/");
    assert.equal(base({ serviceURL: "http://127.0.0.1:10002/orders" }), "http://127.0.0.1:10002/orders");
  });

  it("sign in at Entra ID where there is no key, and only by https", () => {
    const { accountKey: _key, ...keyless } = PLAIN;
    assert.deepEqual(faultsOf(keyless), []);
    assert.deepEqual(faultsOf({ ...keyless, serviceURL: "http://10.0.0.1/" }), [["serviceURL", "http://10.0.0.1/"]]);
    assert.deepEqual(faultsOf({ ...keyless, azureAuthMethods: "none" }), [["azureAuthMethods", "none"]]);
  });

  it("are refused where they are none, without showing a secret", () => {
    assert.deepEqual(faultsOf({ ...PLAIN, accountName: "Not_One" }), [["accountName", "Not_One"]]);
    assert.deepEqual(faultsOf({ ...PLAIN, accountKey: "hunter2!" }), [["accountKey", null]]);
    assert.deepEqual(faultsOf({ ...PLAIN, tableName: "1st" }), [["tableName", "1st"]]);
    assert.deepEqual(faultsOf({ ...PLAIN, azureEnvironment: "Mars" }), [["azureEnvironment", "Mars"]]);
    for (const serviceURL of ["nonsense", "ftp://x", "https://u:hunter2@x/", "https://x/?sig=hunter2"])
      assert.deepEqual(faultsOf({ ...PLAIN, serviceURL }), [["serviceURL", null]]);
  });
});
