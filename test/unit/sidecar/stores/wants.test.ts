// What a field of any store says that it wants, where a value is refused: never what the value is already.
import assert from "node:assert/strict";
import type { Field } from "#crds/fields.ts";
import { loadDriver, STORE_TYPES } from "#sidecar/stores/registry.ts";

const LENGTHS = [0, 1, 2, 3, 24, 44, 48, 58, 63, 64, 110, 128, 200, 1024, 5000];

/** What is wanted of a letter that is there so many times; null where it is taken. */
function wanted(field: Field<unknown>, length: number): string | null {
  const reading = field.read("a".repeat(length));
  return "want" in reading ? reading.want : null;
}

describe("a field of a store", () => {
  for (const type of STORE_TYPES)
    it(`of ${type} names lengths where a value is refused for nothing else`, async () => {
      const driver = await loadDriver(type);
      assert.ok(driver !== null);
      for (const each of Object.values(driver.byVersion ?? { all: driver }))
        for (const [name, field] of Object.entries(each.fields) as [string, Field<unknown>][]) {
          const wants = LENGTHS.map((length) => wanted(field, length));
          if (wants.slice(1).every((want) => want !== null)) continue;
          for (const want of wants) assert.match(want ?? "any of 1", /\d|one or more|letter, then/, `${name}: ${want}`);
        }
    });
});
