// The table's rows: values in pieces, what is none of ours, and what goes into a read or a commit.
import assert from "node:assert/strict";
import type { PartialResultSet } from "#proto/gen/clients/google/spanner/v1/spanner.ts";
import type { Value } from "#proto/gen/clients/google/well_known.ts";
import { later, STRONG, stale } from "#sidecar/stores/spanner/calls.ts";
import { FOUND_COLUMNS, mutationsOf, type Row, RowReader, toMs, toStored } from "#sidecar/stores/spanner/rows.ts";

const value = (text: string | null): Value => ({
  kind: text === null ? { $case: "nullValue", nullValue: 0 } : { $case: "stringValue", stringValue: text },
});

function part(texts: readonly (string | null)[], chunkedValue = false): PartialResultSet {
  return { metadata: undefined, values: texts.map(value), chunkedValue, precommitToken: undefined };
}

function read(parts: readonly PartialResultSet[], enough = Number.POSITIVE_INFINITY): [rows: Row[], wanted: boolean[]] {
  const rows: Row[] = [];
  const reader = new RowReader(["key", "expiry"], (row) => {
    rows.push(row);
    return rows.length < enough;
  });
  return [rows, parts.map((each) => reader.push(each))];
}

describe("rows of a read", () => {
  it("may end anywhere in a message", () => {
    const [rows] = read([part(["a"]), part([null, "b", "t", "c"]), part([]), part([null])]);
    assert.deepEqual(rows, [
      ["a", null],
      ["b", "t"],
      ["c", null],
    ]);
  });

  it("are put together of values in pieces", () => {
    const [rows] = read([part(["a", "2"], true), part(["0"], true), part(["26", "b", null])]);
    assert.deepEqual(rows, [
      ["a", "2026"],
      ["b", null],
    ]);
  });

  it("are put together where a piece is empty, and where the last piece ends a message", () => {
    const [rows] = read([part(["a", "x"], true), part([""], true), part(["y"]), part(["", null])]);
    assert.deepEqual(rows, [
      ["a", "xy"],
      ["", null],
    ]);
  });

  it("end when they are enough", () => {
    const [rows, wanted] = read([part(["a", null, "b", null, "c", null])], 2);
    assert.deepEqual([rows.length, wanted[0]], [2, false]);
  });

  it("are corrupt in a table with other types", () => {
    const other: Value = { kind: { $case: "numberValue", numberValue: 1 } };
    assert.throws(() => read([{ ...part([]), values: [other] }]), { code: "corrupt" });
    assert.throws(() => toStored(["a", null, "v", null]), { code: "corrupt", message: /a row has no value/ });
  });

  it("may lack a version and an expiry", () => {
    const { found } = toStored(["a", Buffer.from("{}").toString("base64"), null, "2026-11-23T17:00:00.123456789Z"]);
    assert.deepEqual([found.etag, found.expiresAtMs], [null, Date.UTC(2026, 10, 23, 17, 0, 0, 123)]);
  });
});

describe("what is sent to Spanner", () => {
  it("is one mutation for all rows that are put, and one for all that go", () => {
    const put = { key: "a", bytes: Buffer.from([0, 255]), version: "v1", expiresAtMs: 1000 };
    const [write, deletion, ...more] = mutationsOf("state", [put, { ...put, key: "b", expiresAtMs: null }], ["c", "d"]);
    assert.deepEqual(more, []);
    assert.ok(write?.operation?.$case === "insertOrUpdate" && deletion?.operation?.$case === "delete");
    const { columns, values } = write.operation.insertOrUpdate;
    assert.deepEqual(columns, FOUND_COLUMNS);
    assert.deepEqual(
      values.map((row) => row.values),
      [["a", "AP8=", "v1", "1970-01-01T00:00:01.000Z"].map(value), ["b", "AP8=", "v1", null].map(value)],
    );
    assert.deepEqual(
      deletion.operation.delete.keySet?.keys.map(({ values: key }) => key),
      [[value("c")], [value("d")]],
    );
    assert.deepEqual(mutationsOf("state", [], []), []);
  });

  it("asks for the server's time with each read, and for a bound where a read may be stale", () => {
    assert.deepEqual(STRONG.mode, {
      $case: "readOnly",
      readOnly: { timestampBound: { $case: "strong", strong: true }, returnReadTimestamp: true },
    });
    assert.deepEqual(stale(15_250).mode, {
      $case: "readOnly",
      readOnly: {
        timestampBound: { $case: "maxStaleness", maxStaleness: { seconds: 15, nanos: 250_000_000 } },
        returnReadTimestamp: true,
      },
    });
  });

  it("takes the later of two tokens, and times to the millisecond", () => {
    const [one, two] = [1, 2].map((seqNum) => ({ precommitToken: new Uint8Array(0), seqNum }));
    assert.deepEqual(
      [later(one, two), later(two, one), later(undefined, one), later(two, undefined)],
      [two, two, one, two],
    );
    assert.equal(toMs({ seconds: 1, nanos: 2_999_999 }), 1002);
  });
});
