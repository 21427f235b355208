// The decoder of metadata fields: what it shows of a wrong value, and what it never shows.
import assert from "node:assert/strict";
import { decodeFields, fieldFinder, type Property, text, whole } from "#crds/fields.ts";
import { describeFault } from "#kit/fault.ts";

const table = {
  host: text({ fallback: "", required: true, doc: "" }),
  port: whole({ fallback: 1, min: 1, max: 9, doc: "", aliases: ["door"] }),
  pin: whole({ fallback: 1, min: 1, max: 9, doc: "", secret: true, aliases: ["code"] }),
};

const host = { name: "host", value: "h", secret: false };

function faultsOf(...properties: readonly Property[]): string[] {
  return decodeFields(table, [host, ...properties], { others: [], page: "docs" }).faults.map(describeFault);
}

describe("the decoder of fields", () => {
  it("shows a wrong value that is no secret", () => {
    assert.deepEqual(faultsOf({ name: "DOOR", value: "ten", secret: false }), [
      'DOOR: got "ten", want a whole number from 1 to 9; see docs',
    ]);
  });

  it("never shows a value that came out of a secret store, whatever the table says", () => {
    for (const name of ["port", "DOOR"]) {
      assert.deepEqual(faultsOf({ name, value: "hunter2", secret: true }), [
        `${name}: want a whole number from 1 to 9; see docs`,
      ]);
    }
  });

  it("never shows a value of a field that the table calls secret, wherever it came from", () => {
    for (const name of ["pin", "Code"]) {
      assert.deepEqual(faultsOf({ name, value: "hunter2", secret: false }), [
        `${name}: want a whole number from 1 to 9; see docs`,
      ]);
    }
  });

  it("shows no value of a field that it does not know or that is given twice", () => {
    const unknown = { name: "pni", value: "hunter2", secret: false };
    const again = { name: "HOST", value: "hunter2", secret: false };
    const faults = faultsOf(unknown, again);
    assert.equal(faults.length, 2);
    assert.doesNotMatch(faults.join(), /hunter2/);
  });
});

describe("the finder of fields", () => {
  const find = fieldFinder([table, { more: text({ fallback: "", doc: "" }) }]);

  it("knows each field of each table by its name and aliases in any case", () => {
    assert.deepEqual(
      ["PORT", "door", "code", "More"].map((name) => find(name)?.kind),
      ["whole number", "whole number", "whole number", "text"],
    );
    assert.equal(find("door"), find("port"));
  });

  it("gives nothing for any other name", () => {
    assert.equal(find("doors"), undefined);
    assert.equal(find("constructor"), undefined);
  });
});
