// The manifest's fields: what is refused, what draws a warning.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { prepare } from "./fixture.ts";

const PROJECT = { project_id: "p-1" };
const KEY = { private_key_id: "k", client_email: "a@b", private_key: "-----BEGIN PRIVATE KEY-----" };

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  const { faults } = prepare({ ...PROJECT, ...given });
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("the fields of state.gcp.firestore", () => {
  it("are taken as Dapr names them, and in camel case", () => {
    const all = { type: "service_account", ...KEY, client_id: "1", entity_kind: "Kind", noIndex: "yes" };
    assert.deepEqual(faultsOf(all), []);
    const { faults } = prepare({
      projectId: "example.com:p",
      entityKind: "Staat",
      connectionEndpoint: "localhost:8042",
    });
    assert.deepEqual(faults, []);
  });

  it("have the same fingerprint however they are spelled", () => {
    const one = prepare({ ...PROJECT, noIndex: "true", timeout: "30", entity_kind: "DaprState" }).fingerprint;
    assert.equal(prepare({ projectId: "p-1", noindex: "1", timeout: "30s" }).fingerprint, one);
    assert.notEqual(prepare({ projectId: "p-1", timeout: "30s" }).fingerprint, one);
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ project_id: "" }, /^error project_id: want a value: the field is required/],
    [{ project_id: "p/1" }, /^error project_id: got "p\/1", want a project's id/],
    [{ entity_kind: "" }, /^error entity_kind: got "", want a kind/],
    [{ entity_kind: "__kind__" }, /^error entity_kind: got "__kind__", want a kind .* not in double underscores/],
    [{ entity_kind: "é".repeat(751) }, /^error entity_kind: got "1502 bytes", want at most 1500/],
    [{ timeout: "500ms" }, /^error timeout: got "500ms", want a duration from 1000ms/],
    [{ endpoint: "localhost" }, /^error endpoint: got "localhost", want the "host:port" of an emulator/],
    [{ endpoint: "me:s3cr3t@localhost:8042" }, /^error endpoint: want the "host:port" of an emulator/],
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

  it("warn of a key beside an emulator, and of addresses that are never asked", () => {
    const emulator = faultsOf({ ...KEY, endpoint: "localhost:8042" }).join();
    assert.match(emulator, /^warning endpoint: got "localhost:8042", want https:\/\/ .* go to this emulator/);
    assert.deepEqual(faultsOf({ ...KEY, endpoint: "https://datastore.googleapis.com" }), []);
    assert.match(faultsOf({ auth_uri: "https://accounts.google.com" }).join(), /^warning auth_uri: .* signs its own/);
  });
});
