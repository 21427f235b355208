import assert from "node:assert/strict";
import { JsonNumber } from "#sidecar/state/query/number.ts";
import { RowOrder } from "#sidecar/state/query/order.ts";
import { PathSet } from "#sidecar/state/query/paths.ts";
import { type SelectedRow, Selection, type SelectionLimits } from "#sidecar/state/query/selection.ts";

function selecting(limits: Partial<SelectionLimits>): Selection {
  const order = new RowOrder([{ path: "n", descending: false }], new PathSet());
  return new Selection(order, { rowsMax: 2, bytesMax: 0, ...limits });
}

function row(key: string, by: number, bytes = 1): SelectedRow {
  const found = { bytes: Buffer.alloc(bytes), etag: null, expiresAtMs: null };
  return { place: { key, by: [new JsonNumber(String(by))] }, found };
}

function keysIn(selection: Selection): readonly string[] {
  return selection.rows.map(({ place }) => place.key);
}

describe("selection of a query's rows", () => {
  it("holds the first rows of the order, and tells whether there were more", () => {
    const selection = selecting({});
    for (const each of [row("c", 3), row("a", 1)]) selection.add(each);
    assert.deepEqual([keysIn(selection), selection.isCut], [["a", "c"], false]);
    selection.add(row("b", 2));
    assert.deepEqual([keysIn(selection), selection.isCut], [["a", "b"], true]);
  });

  it("takes nothing behind a row that found no room, though it would fit", () => {
    const selection = selecting({ rowsMax: 10, bytesMax: 10_000 });
    for (const each of [row("a", 1, 6_000), row("b", 2, 6_000), row("c", 3, 1)]) selection.add(each);
    assert.deepEqual(keysIn(selection), ["a"]);
  });

  it("keeps one row, however large", () => {
    const selection = selecting({ bytesMax: 10 });
    selection.add(row("a", 1, 11));
    assert.deepEqual([keysIn(selection), selection.isCut], [["a"], false]);
  });

  it("counts keys, and what stands around a row, and leaves room for the token", () => {
    const selection = selecting({ rowsMax: 1_000, bytesMax: 10_000 });
    for (let i = 0; i < 100; i++) selection.add(row(`${i}`.padStart(100, "k"), i));
    // 165 bytes for each row, and 660 for the token.
    assert.deepEqual([selection.rows.length, selection.isCut], [56, true]);
  });

  it("lets the first telling of a row stand, so that no page loses its rows", () => {
    const selection = selecting({ rowsMax: 1 });
    for (const each of [row("a", 1), row("b", 2), row("a", 3)]) selection.add(each);
    assert.deepEqual(keysIn(selection), ["a"]);
  });

  it("takes a row that found no room when it is told again with an earlier place", () => {
    const selection = selecting({ rowsMax: 1 });
    for (const each of [row("a", 3), row("b", 2), row("a", 1)]) selection.add(each);
    assert.deepEqual(keysIn(selection), ["a"]);
  });
});
