// The fields by which drivers sign in at Entra ID, and the ways that they mean.
import assert from "node:assert/strict";
import { decodeFields } from "#crds/fields.ts";
import { cloudOf } from "#sidecar/stores/azure/clouds.ts";
import {
  checkCloud,
  checkEntra,
  type EntraSettings,
  entraFields,
  entraMethods,
} from "#sidecar/stores/azure/entra-fields.ts";

const PAGE = "docs/stores/azure.blobstorage.md";

function decode(given: Readonly<Record<string, string>>): Readonly<EntraSettings> {
  const properties = Object.entries(given).map(([name, value]) => ({ name, value, secret: false }));
  const { settings, faults } = decodeFields(entraFields, properties, { others: [], page: PAGE });
  assert.deepEqual(faults, []);
  assert.ok(settings !== null);
  return settings;
}

const SECRET = { tenantId: "t", clientId: "c", clientSecret: "s3cr3t" };

describe("the fields of Entra ID", () => {
  it("mean every way whose fields are given, in Dapr's order", () => {
    assert.deepEqual(entraMethods(decode({})), ["workload-identity", "managed-identity", "command-line"]);
    assert.deepEqual(entraMethods(decode(SECRET)), ["secret", "workload-identity", "managed-identity", "command-line"]);
    const certificate = { spnTenantId: "t", spnClientId: "c", spnCertificateFile: "/cert.pem" };
    assert.equal(entraMethods(decode(certificate))?.[0], "certificate");
  });

  it("mean the ways that azureAuthMethods names, in its order and by either of Dapr's words", () => {
    const methods = (entraIDAuthMethods: string) => entraMethods(decode({ ...SECRET, entraIDAuthMethods }));
    assert.deepEqual(methods("mi, ClientCredentials"), ["managed-identity", "secret"]);
    assert.deepEqual(methods("CommandLineInterface,wi"), ["command-line", "workload-identity"]);
    assert.deepEqual(methods("cert"), []);
    assert.deepEqual(methods("none,mi"), []);
    assert.equal(methods("password"), null);
  });

  it("are told when they mean no way, without a secret", () => {
    const faultsOf = (given: Readonly<Record<string, string>>) =>
      checkEntra(decode(given), PAGE).map(({ field, got }) => [field, got]);
    assert.deepEqual(faultsOf({}), []);
    assert.deepEqual(faultsOf({ azureAuthMethods: "none" }), [["azureAuthMethods", "none"]]);
    assert.deepEqual(faultsOf({ azureAuthMethods: "creds" }), [["azureAuthMethods", "creds"]]);
    assert.deepEqual(faultsOf({ azureAuthMethods: "magic" }), [["azureAuthMethods", "magic"]]);
    assert.deepEqual(faultsOf({ azureCertificate: "MIIJ" }), [["azureCertificate", null]]);
    const both = { azureCertificate: "-----BEGIN CERTIFICATE-----", azureCertificateFile: "/cert.pem" };
    assert.deepEqual(faultsOf(both), [["azureCertificateFile", null]]);
  });

  it("know three clouds, in any case, under two names each", () => {
    assert.equal(cloudOf("")?.storageSuffix, "core.windows.net");
    assert.equal(cloudOf("AZUREPUBLICCLOUD"), cloudOf("AzurePublic"));
    assert.equal(cloudOf("AzureChinaCloud")?.storageSuffix, "core.chinacloudapi.cn");
    assert.equal(cloudOf("AzureUSGovernment")?.authorityHost, "https://login.microsoftonline.us");
    assert.deepEqual(
      checkCloud(decode({ azureCloud: "AzureGermany" }), PAGE).map(({ field, got }) => [field, got]),
      [["azureEnvironment", "AzureGermany"]],
    );
  });
});
