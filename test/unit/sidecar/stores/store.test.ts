// What storeDriver makes of a driver's own faults: none of them may show a secret.
import assert from "node:assert/strict";
import { type FieldTable, type Property, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { storeDriver } from "#sidecar/stores/store.ts";

interface Settings {
  readonly host: string;
  readonly key: string;
}

const fields: FieldTable<Settings> = {
  host: text({ fallback: "", aliases: ["server"], doc: "" }),
  key: text({ fallback: "", secret: true, doc: "" }),
};

/** What is shown of the values by a driver that puts the setting into a fault of `field`. */
function shown(field: string, ...properties: readonly Property[]): (string | null)[] {
  const driver = storeDriver<Settings>({
    type: "state.test",
    versions: ["v1"],
    defaultVersion: "v1",
    fields,
    check: ({ host, key }): readonly Fault[] => [
      { severity: "error", field, got: `${host}${key}`, want: "another", hint: null },
    ],
    open: () => Promise.reject(new Error("never opened")),
  });
  return driver.decode(properties, []).faults.map(({ got }) => got);
}

describe("a driver's own fault", () => {
  it("shows the value that it is about", () => {
    assert.deepEqual(shown("host", { name: "SERVER", value: "h", secret: false }), ["h"]);
  });

  for (const [field, name] of [
    ["host", "host"],
    ["host", "SERVER"],
    ["Server", "hOSt"],
  ] as const) {
    it(`of ${field} shows nothing when ${name} came out of a secret store`, () => {
      assert.deepEqual(shown(field, { name, value: "hunter2", secret: true }), [null]);
    });
  }

  it("shows nothing of a field that the table calls secret", () => {
    assert.deepEqual(shown("KEY", { name: "key", value: "hunter2", secret: false }), [null]);
  });

  it("shows nothing under a name that the table does not have", () => {
    assert.deepEqual(shown("host and port", { name: "host", value: "hunter2", secret: true }), [null]);
  });
});
