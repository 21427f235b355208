// The manifest's fields: what is refused, what draws a warning.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { KEY, prepare } from "./fixture.ts";

const USUAL = { url: "https://a.documents.azure.com:443/", masterKey: KEY, database: "d", collection: "c" };

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  return prepare({ ...USUAL, ...given }).faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("the fields of state.azure.cosmosdb", () => {
  it("takes what Dapr's own page shows", () => {
    assert.deepEqual(faultsOf({}), []);
    assert.deepEqual(
      faultsOf({ contentType: "application/json; charset=utf-8", url: "https://a.documents.azure.com" }),
      [],
    );
  });

  it("takes the sign-in of Entra ID in place of a key, under all names that Dapr has", () => {
    const entra = { masterKey: "", spnTenantId: "t", clientId: "i", azureClientSecret: "s3cr3t" };
    assert.deepEqual(faultsOf(entra), []);
    assert.deepEqual(faultsOf({ masterKey: "" }), []);
  });

  it("takes an emulator on this machine without TLS, and no other server", () => {
    for (const host of ["localhost", "127.0.0.1", "[::1]"])
      assert.deepEqual(faultsOf({ url: `http://${host}:8081/` }), []);
    assert.match(faultsOf({ url: "http://cosmos:8081/" }).join(), /^warning url: .*https: without TLS/);
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ url: "" }, /^error url: want a value: the field is required/],
    [{ database: "" }, /^error database: want a value/],
    [{ collection: "" }, /^error collection: want a value/],
    [{ url: "a.documents.azure.com" }, /^error url: got "a.documents.azure.com", want the account's URL/],
    [{ url: "https://a.documents.azure.com/dbs/d" }, /^error url: got .* want the account's URL/],
    [{ url: "https://user:s3cr3t@a.documents.azure.com/" }, /^error url: want the account's URL/],
    [{ masterKey: "s3cr3t no base64" }, /^error masterKey: want a key in base64/],
    [{ contentType: "" }, /^error contentType: got "", want a type/],
    [{ masterKey: "", azureEnvironment: "AzureMoon" }, /^error azureEnvironment: got "AzureMoon"/],
    [{ masterKey: "", azureAuthMethods: "magic" }, /^error azureAuthMethods: got "magic"/],
  ];
  for (const [given, want] of refused) {
    it(`refuses ${JSON.stringify(given).slice(0, 60)}`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
      assert.doesNotMatch(faults.join(), /s3cr3t/);
    });
  }

  it("takes a key with the line end of the file that a secret was made from, as Dapr does", () => {
    assert.deepEqual(faultsOf({ masterKey: "c2VjcmV0\n" }), []);
  });

  it("warns of what has no effect", () => {
    assert.match(faultsOf({ contentType: "text/plain" }).join(), /^warning contentType: .*base64/);
    assert.match(
      faultsOf({ azureClientSecret: "s3cr3t" }).join(),
      /^warning azureClientSecret: want nothing: masterKey is there/,
    );
  });
});
