// Which numbers the JSON type of MySQL would change; the layout refuses them where the server has that type. MySQL 8 itself
// is asked by the conformance suite, where one is named.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { changesNumbers } from "#sidecar/stores/mysql/json-loss.ts";
import { type Table, toColumns } from "#sidecar/stores/mysql/layout.ts";
import { write } from "./fixture.ts";

const KEPT = [
  "0",
  "1",
  "-1",
  "123456789012345678",
  "9223372036854775807",
  "-9223372036854775808",
  "18446744073709551615",
  "0.1",
  "1.50",
  "-2.5",
  "0.0",
  "3.141592653589793",
  "1e2",
  "1E+2",
  "1e22",
  "1e-7",
  "100000.0",
  "9007199254740991.0",
];
const CHANGED = [
  "-0",
  "-0.0",
  "-0e1",
  "18446744073709551616",
  "-9223372036854775809",
  "123456789012345678901234567890",
  "0.30000000000000004",
  "3.14159265358979323846",
  "9007199254740993.0",
  "1e23",
  "1e400",
  "1e-400",
  "1.7976931348623157e308",
];

describe("numbers in MySQL's JSON", () => {
  it("are told apart: those that it keeps", () => {
    for (const number of KEPT) {
      for (const text of [number, `[${number}]`, `{"a": ${number} ,"b":[true,null]}`])
        assert.equal(changesNumbers(text), false, text);
    }
  });

  it("are told apart: those that it changes, wherever they stand", () => {
    for (const number of CHANGED) {
      for (const text of [number, `[1,${number}]`, `{"a":{"b":"x\\"","c":${number}}}`])
        assert.equal(changesNumbers(text), true, text);
    }
  });

  it("are looked for outside of texts only", () => {
    for (const text of ['"1e400"', '{"-0":"-0"}', '["\\"1e400", 1]', '"\\\\"', '{"a\\\\":1}', '"true1e5"'])
      assert.equal(changesNumbers(text), false, text);
  });

  it("never change when they are said to be kept: a double prints their digits", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const text = JSON.stringify(number);
        if (!/^-?\d+$/.test(text) && !changesNumbers(text)) assert.equal(JSON.stringify(JSON.parse(text)), text);
      }),
    );
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 22 }), (digits, places) => {
        const text = digits === 0 ? "0" : `${digits}e-${places}`;
        // Exact digits over an exact power are divided exactly, by any parser.
        if (!changesNumbers(text)) assert.equal(digits / 10 ** places, Number(text));
      }),
    );
  });

  it("are refused where the server has the type, unless the Component says lossyValues, and taken elsewhere", () => {
    const table: Table = { parsesJson: true, charset: "utf8mb4", collation: "utf8mb4_0900_bin", packetBytesMax: 1 };
    const columns = (more: Partial<Table>, lossyValues: boolean): string =>
      toColumns(write("k", "[1e400]"), { table: { ...table, ...more }, lossyValues, valueBytesMax: null }).value;
    assert.throws(() => columns({}, false), { code: "refused", message: /lossyValues/ });
    assert.equal(columns({}, true), "[1e400]");
    assert.equal(columns({ parsesJson: false }, false), "[1e400]");
    const raw = write("k", "-0", { isJson: false });
    assert.equal(toColumns(raw, { table, lossyValues: false, valueBytesMax: null }).value, '"LTA="');
  });
});
