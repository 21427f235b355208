// The manifest's fields: what is refused, what draws a warning.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { prepare } from "./fixture.ts";

const NAMES = { project_id: "p-1", instance_id: "i-1", database_id: "d-1" };

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  const { faults } = prepare({ ...NAMES, ...given });
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("the fields of state.gcp.spanner", () => {
  it("are taken as the page shows them, and in camel case", () => {
    assert.deepEqual(
      faultsOf({ tableName: "State_1", timeout: "30s", maxStaleness: "15s", endpoint: "localhost:9010" }),
      [],
    );
    const { faults } = prepare({ projectId: "p", instanceId: "i", databaseId: "d", emulatorHost: "localhost:9010" });
    assert.deepEqual(faults, []);
  });

  it("have the same fingerprint however they are spelled", () => {
    const one = prepare({ ...NAMES, timeout: "30" }).fingerprint;
    assert.equal(prepare({ databaseId: "d-1", project: "p-1", instance: "i-1", timeout: "30s" }).fingerprint, one);
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ project_id: "" }, /^error project_id: want a value: the field is required/],
    [{ instance_id: "i/1" }, /^error instance_id: got "i\/1", want a name as Google gives it/],
    [{ tableName: "my-table" }, /^error tableName: got "my-table", want an ASCII letter, then letters/],
    [{ timeout: "500ms" }, /^error timeout: got "500ms", want a duration from 1000ms/],
    [{ endpoint: "localhost" }, /^error endpoint: got "localhost", want the "host:port" of an emulator/],
    [{ endpoint: "me:s3cr3t@localhost:9010" }, /^error endpoint: want the "host:port" of an emulator/],
    [{ private_key_id: "k", client_email: "a@b" }, /^error private_key: want the PEM text/],
    [{ private_key_id: "k", client_email: "a@b", private_key: "s3cr3t" }, /^error private_key: want the PEM text/],
    [{ type: "user" }, /^error type: want service_account/],
  ];
  for (const [given, want] of refused) {
    it(`refuses ${JSON.stringify(given).slice(0, 60)}`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
      assert.doesNotMatch(faults.join(), /s3cr3t/);
    });
  }

  it("warns of an account that signs in at an emulator, and of addresses that are never asked", () => {
    const key = { private_key_id: "k", client_email: "a@b", private_key: "-----BEGIN PRIVATE KEY-----" };
    assert.match(faultsOf({ ...key, endpoint: "localhost:9010" }).join(), /^warning private_key_id: .* emulator/);
    assert.match(
      faultsOf({ token_uri: "https://oauth2.googleapis.com/token" }).join(),
      /^warning token_uri: .* signs its own/,
    );
  });
});
