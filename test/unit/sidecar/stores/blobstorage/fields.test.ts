// The fields of state.azure.blobstorage, and where the account is that they name.
import assert from "node:assert/strict";
import { decodeFields } from "#crds/fields.ts";
import { type Account, accountOf } from "#sidecar/stores/blobstorage/account.ts";
import { fields } from "#sidecar/stores/blobstorage/fields.ts";
import { prepare } from "../azure/fixture.ts";

const KEY = Buffer.from("sixteen bytes, or more").toString("base64");
const PLAIN = { accountName: "orders", accountKey: KEY, containerName: "state" };

function faultsOf(
  given: Readonly<Record<string, string>>,
  version = "v2",
): readonly (readonly [string, string | null])[] {
  return prepare("blobs", given, version).faults.map(({ field, got }) => [field, got]);
}

function account(given: Readonly<Record<string, string>>): Account {
  const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
  const { settings } = decodeFields(fields, properties, { others: [], page: "" });
  assert.ok(settings !== null);
  const found = accountOf(settings);
  assert.ok(!("field" in found), JSON.stringify(found));
  return found;
}

describe("the fields of state.azure.blobstorage", () => {
  it("are all of Dapr's, under all of their names", () => {
    const given = {
      storageAccountName: "orders",
      storageAccessKey: KEY,
      storageAccountContainer: "state",
      publicAccessLevel: "blob",
      storageEndpoint: "http://127.0.0.1:10000",
      getBlobRetryCount: "5",
      disableEntityManagement: "true",
      azureEnvironment: "AzurePublicCloud",
    };
    assert.deepEqual(faultsOf(given), []);
  });

  it("name the service of the cloud, or another address with the account in its path", () => {
    const href = (more: Readonly<Record<string, string>>): string => account({ ...PLAIN, ...more }).base.href;
    assert.equal(href({}), "https://orders.blob.core.windows.net/");
    assert.equal(href({ azureEnvironment: "azurechina" }), "https://orders.blob.core.chinacloudapi.cn/");
    assert.equal(href({ endpoint: "http://127.0.0.1:10000/" }), "http://127.0.0.1:10000/orders");
    assert.equal(href({ endpoint: "https://orders.blob.core.windows.net" }), "https://orders.blob.core.windows.net/");
  });

  it("take a connection string before all others, with a key or with a signature", () => {
    const byKey = account({
      containerName: "state",
      connectionString: `DefaultEndpointsProtocol=https;AccountName=orders;AccountKey=${KEY};EndpointSuffix=core.windows.net`,
    });
    assert.equal(byKey.base.href, "https://orders.blob.core.windows.net/");
    assert.ok(typeof byKey.identity === "object" && "key" in byKey.identity);
    const bySas = account({
      ...PLAIN,
      connectionString: "BlobEndpoint=http://127.0.0.1:10000/orders;SharedAccessSignature=?sv=1&sig=a%3D",
    });
    assert.deepEqual(bySas.identity, { sas: "sv=1&sig=a%3D" });
    assert.equal(bySas.base.href, "http://127.0.0.1:10000/orders");
  });

  it("sign in at Entra ID where there is no key, and only by https", () => {
    const { accountKey: _key, ...keyless } = PLAIN;
    assert.equal(account(keyless).identity, "entra");
    assert.deepEqual(faultsOf(keyless), []);
    assert.deepEqual(faultsOf({ ...keyless, endpoint: "http://10.0.0.1" }), [["endpoint", "http://10.0.0.1"]]);
    assert.deepEqual(faultsOf({ ...keyless, azureAuthMethods: "none" }), [["azureAuthMethods", "none"]]);
  });

  it("are refused where they are none, without showing a secret", () => {
    assert.deepEqual(faultsOf({ ...PLAIN, accountName: "Not_One" }), [["accountName", "Not_One"]]);
    assert.deepEqual(faultsOf({ ...PLAIN, accountKey: "hunter2!" }), [["accountKey", null]]);
    assert.deepEqual(faultsOf({ ...PLAIN, containerName: "Not--One" }), [["containerName", "Not--One"]]);
    assert.deepEqual(faultsOf({ ...PLAIN, endpoint: "ftp://hunter2@x" }), [["endpoint", null]]);
    assert.deepEqual(faultsOf({ ...PLAIN, publicAccessLevel: "all" }), [["publicAccessLevel", "all"]]);
    assert.deepEqual(faultsOf({ ...PLAIN, azureEnvironment: "Mars" }), [["azureEnvironment", "Mars"]]);
    for (const connectionString of ["hunter2", "AccountName=a", "AccountName=a;AccountKey=hunter2!", "BlobEndpoint=x"])
      assert.deepEqual(faultsOf({ containerName: "state", connectionString }), [["connectionString", null]]);
  });

  it("are refused in version v1, with what to do", () => {
    const [fault] = prepare("blobs", PLAIN, "v1").faults;
    assert.equal(fault?.field, "version");
    assert.match(fault?.want ?? "", /version: v2/);
    assert.match(fault?.hint ?? "", /keyPrefix: none/);
  });
});
