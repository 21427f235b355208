// Keys, values and ETags in Dapr's columns (dapr-state-stores.md 8b, 8c).
import assert from "node:assert/strict";
import { type FoundColumn, type KeyColumn, keyColumnOf } from "#sidecar/stores/sqlserver/keys.ts";
import { toFound, toVersion, VALUE_COLUMNS } from "#sidecar/stores/sqlserver/layout.ts";
import { toBatch } from "#sidecar/stores/sqlserver/transaction.ts";
import { deletion, ETAG, upsert, VERSION, write } from "./fixture.ts";

const { v1, v2 } = VALUE_COLUMNS;
const RAW = Uint8Array.of(0xff, 0, 0xc3, 0x28);

function column(keyType: "string" | "uuid" | "integer", found: FoundColumn): KeyColumn {
  const key = keyColumnOf(keyType, 200, found);
  assert.ok(key !== null);
  return key;
}

const TEXT: FoundColumn = { type: "nvarchar", length: 200, collation: "Latin1_General_100_BIN2" };
const UUID: FoundColumn = { type: "uniqueidentifier", length: null, collation: null };
const INTEGER: FoundColumn = { type: "int", length: null, collation: null };

describe("the layout of SQL Server", () => {
  it("keeps texts in v1, JSON or not, and refuses bytes that are none", () => {
    const text = '{ "a":1.50, "b":"\u00e9\u{1f9fa}" }';
    assert.deepEqual(v1.toValues(write("k", text)), { Data: text });
    const raw = write("k", "", { bytes: Buffer.from("\ufeffplain\0"), isJson: false });
    assert.deepEqual(v1.toValues(raw), { Data: "\ufeffplain\0" });
    assert.deepEqual(Buffer.from(v1.toBytes({ Data: "\ufeffplain\0" })), Buffer.from(raw.bytes));
    assert.throws(() => v1.toValues(write("k", "", { bytes: RAW, isJson: false })), {
      code: "refused",
      message: /version v2 keeps any bytes/,
    });
  });

  it("keeps raw bytes apart from JSON in v2", () => {
    assert.deepEqual(v2.toValues(write("k", "1")), { Data: "1", BinaryData: null, IsBinary: false });
    const raw = v2.toValues(write("k", "", { bytes: RAW, isJson: false }));
    assert.deepEqual(raw, { Data: null, BinaryData: Buffer.from(RAW), IsBinary: true });
    assert.deepEqual(v2.toBytes({ Data: null, BinaryData: Buffer.from(RAW), isBinary: true }), Buffer.from(RAW));
    assert.deepEqual(v2.toBytes({ Data: '"t"', BinaryData: null, isBinary: false }), Buffer.from('"t"'));
  });

  it("calls a row corrupt that is not in the layout", () => {
    const rows = [
      () => v1.toBytes({ Data: null }),
      () => v1.toBytes({ Data: "\ud800" }),
      () => v2.toBytes({ Data: "1", BinaryData: null, isBinary: true }),
      () => v2.toBytes({ Data: null, BinaryData: Buffer.from("1"), isBinary: false }),
    ];
    for (const row of rows) assert.throws(row, { code: "corrupt" });
  });

  it("tells the row version as 16 hexadecimal digits, and the end in milliseconds", () => {
    const row = { Data: "1", RowVersion: VERSION, Expires: "1795000000123" };
    assert.deepEqual(toFound(row, v1), { bytes: Buffer.from("1"), etag: ETAG, expiresAtMs: 1_795_000_000_123 });
    assert.equal(toFound({ ...row, Expires: null }, v1).expiresAtMs, null);
  });

  it("takes an ETag as it was given out, and tells what is none from what is another's", () => {
    assert.deepEqual(toVersion(ETAG), VERSION);
    assert.equal(toVersion("FFFF"), null);
    assert.equal(toVersion(ETAG.toUpperCase()), null);
    for (const etag of ["bad-etag", "abc", `${ETAG} `, `"${ETAG}"`])
      assert.throws(() => toVersion(etag), { code: "etag-invalid" }, etag);
  });

  it("takes UUIDs in lower case alone where keys are UUIDs", () => {
    const { check } = column("uuid", UUID);
    check("01234567-89ab-cdef-0123-456789abcdef");
    // The server would cut the last one.
    for (const key of ["01234567-89AB-cdef-0123-456789abcdef", "k", "01234567-89ab-cdef-0123-456789abcdef0"])
      assert.throws(() => check(key), { code: "refused", message: /keyType uuid/ }, key);
  });

  it("takes whole numbers of 32 bits in one spelling where keys are integers", () => {
    const { check } = column("integer", INTEGER);
    for (const key of ["0", "-1", "2147483647", "-2147483648"]) check(key);
    for (const key of ["01", "+1", "-0", "2147483648", "-2147483649", "1.0", " 1", ""])
      assert.throws(() => check(key), { code: "refused" }, key);
  });

  it("refuses a table whose keys are of another type than the settings say", () => {
    assert.equal(keyColumnOf("string", 200, UUID), null);
    assert.equal(keyColumnOf("uuid", 200, TEXT), null);
    assert.equal(keyColumnOf("integer", 200, TEXT), null);
    assert.equal(keyColumnOf("string", 200, { ...TEXT, type: "varchar" }), null);
  });

  it("walks only along keys that are compared by code units, and takes keys as long as column and index", () => {
    assert.equal(column("string", TEXT).walkable, true);
    assert.equal(column("string", { ...TEXT, collation: "SQL_Latin1_General_CP1_CI_AS" }).walkable, false);
    assert.equal(column("uuid", UUID).walkable, false);
    assert.equal(column("string", TEXT).bytesMax, 200);
    assert.equal(column("string", { ...TEXT, length: 1000 }).bytesMax, 450);
    assert.throws(() => column("string", TEXT).check("\ud800"), { code: "refused" });
  });
});

describe("a batch of changes", () => {
  const options = {
    checkKey: () => undefined,
    toValues: v1.toValues,
    toVersion,
  };

  it("keeps the last change of each key, all conditions, and the keys in order", () => {
    const batch = toBatch(
      [
        upsert("b", "1", { etag: ETAG }),
        deletion("a"),
        upsert("b", "2"),
        upsert("c", "3", { firstWrite: true }),
        deletion("c"),
      ],
      options,
    );
    assert.deepEqual(batch.keys, ["a", "b", "c"]);
    assert.deepEqual(batch.removed, ["a", "c"]);
    assert.deepEqual(batch.put, [{ values: { Key: "b", Data: "2", TTL: null }, bytes: 1 }]);
    assert.deepEqual(batch.conditions, [
      { key: "b", etag: VERSION, where: "change 1 of 5: " },
      { key: "c", etag: null, where: "change 4 of 5: " },
    ]);
  });

  it("names the change whose ETag or value cannot be", () => {
    assert.throws(() => toBatch([upsert("a", "1"), deletion("b", { etag: "x" })], options), {
      code: "etag-invalid",
      message: /^change 2 of 2: /,
    });
    const raw = upsert("a", "", { bytes: RAW, isJson: false });
    assert.throws(() => toBatch([raw], options), { code: "refused", message: /^change 1 of 1: / });
  });
});
