// Rows that cannot be read: what of them is told, and what is not ours to hide.
import assert from "node:assert/strict";
import { orError, orNull } from "#sidecar/stores/sql/rows.ts";
import { StoreError } from "#sidecar/stores/store.ts";

function throwing(error: Error): () => never {
  return () => {
    throw error;
  };
}

describe("a row of a SQL table", () => {
  const corrupt = new StoreError("corrupt", "of another form");
  const refused = new StoreError("refused", "not this one");
  const mistake = new TypeError("a mistake of ours");

  it("is given as it is read", () => {
    assert.equal(
      orError(() => 1),
      1,
    );
    assert.equal(
      orNull(() => 1),
      1,
    );
  });

  it("fails alone in a bulk read, unless the mistake is ours", () => {
    assert.equal(orError(throwing(corrupt)), corrupt);
    assert.throws(() => orError(throwing(mistake)), mistake);
  });

  it("is passed over by a walk where it has another form, and only there", () => {
    assert.equal(orNull(throwing(corrupt)), null);
    assert.throws(() => orNull(throwing(refused)), refused);
    assert.throws(() => orNull(throwing(mistake)), mistake);
  });
});
