// Rows as Dapr lays them out, written and read by Microsoft's own client, against what the driver writes and reads.
import assert from "node:assert/strict";
import type { TableClient } from "@azure/data-tables";
import { KEY_BYTES_MAX, RowNames } from "#sidecar/stores/tablestorage/row-names.ts";
import { describeWithAzurite } from "#test/servers/azurite.ts";
import { call, keysIn, onOneAzurite, read, removal, textOf, upsert, write } from "../azure/fixture.ts";

describe("the names of rows", () => {
  const names = new RowNames(false);

  it("are what stands before and behind the first two bars", () => {
    assert.deepEqual(names.nameOf("app||order-1"), { partition: "app", row: "order-1" });
    assert.deepEqual(names.nameOf("app||cat||leroy||food"), { partition: "app", row: "cat||leroy||food" });
    assert.deepEqual(names.nameOf("a|||b"), { partition: "a", row: "|b" });
    assert.deepEqual(names.nameOf("bare"), { partition: "bare", row: "" });
    assert.deepEqual(new RowNames(true).nameOf("bare"), { partition: "bare", row: "_dapr_empty_row_key_value_" });
  });

  it("can be read back, and are nobody's where no key has them", () => {
    for (const key of ["app||order-1", "app||cat||leroy||food", "bare", "a/b||c#d?", "﹪||﹪2F"])
      assert.equal(names.keyOf(names.nameOf(key)), key);
    assert.equal(names.keyOf({ partition: "a||b", row: "c" }), null);
    assert.equal(names.keyOf({ partition: "a﹪2", row: "c" }), null);
  });

  it("are refused for a key whose row is another key's, and for one that is too long", () => {
    assert.throws(() => names.nameOf("app||"), { code: "refused" });
    assert.throws(() => new RowNames(true).nameOf("app||_dapr_empty_row_key_value_"), { code: "refused" });
    assert.throws(() => names.nameOf("/".repeat(400)), { code: "refused" });
  });

  it("have 1024 characters on each side of the bars, however many bytes these are", () => {
    const full = "あ".repeat(1024);
    assert.deepEqual(names.nameOf(`${full}||${full}`), { partition: full, row: full });
    assert.equal(Buffer.byteLength(`${full}||${full}`), KEY_BYTES_MAX);
    assert.throws(() => names.nameOf(`${full}a||b`), { code: "refused", message: /PartitionKey of 1025 characters/ });
    assert.throws(() => names.nameOf(`b||${full}a`), { code: "refused", message: /RowKey of 1025 characters/ });
    assert.throws(() => names.nameOf(`b||${"\u{1f9fa}".repeat(513)}`), { code: "refused", message: /RowKey of 1026 / });
  });
});

describeWithAzurite("the layout of state.azure.tablestorage", () => {
  const bench = onOneAzurite();
  const table = (name = "state"): TableClient => bench.azurite().table(name);

  it("takes no key, beginning or position that is half a surrogate pair", async () => {
    const store = await bench.open("tables");
    const refused = { code: "refused", name: "StoreError" };
    await assert.rejects(store.get("app||\ud800", read, call), refused);
    await assert.rejects(store.set(write("app||\ud800", "1", { firstWrite: true }), call), refused);
    await assert.rejects(store.remove(removal("app||\ud800"), call), refused);
    await assert.rejects(keysIn(store, "app||", "app||\ud800"), refused);
    const range = { scope: "app||", start: "app||" };
    for (const after of [">\ud800", '~{"partition":"\\ud800","row":""}'])
      await assert.rejects(async () => store.list?.({ range, after, limit: 1, values: false }, call), refused);
  });

  it("is the value as a string beside the row's name, and nothing else", async () => {
    const store = await bench.open("tables");
    await store.set(write("app||order-1", '{"b":1, "a":"é\u{1f9fa}"}'), call);
    const entity = await table().getEntity("app", "order-1");
    const { partitionKey, rowKey, Value, etag } = entity;
    assert.deepEqual([partitionKey, rowKey, Value], ["app", "order-1", '{"b":1, "a":"é\u{1f9fa}"}']);
    assert.deepEqual(Object.keys(entity).sort(), [
      "Value",
      "etag",
      "odata.metadata",
      "partitionKey",
      "rowKey",
      "timestamp",
    ]);
    assert.equal((await store.get("app||order-1", read, call))?.etag, etag);
  });

  it("has what Dapr wrote, which can be read, updated with its ETag, listed and deleted", async () => {
    const store = await bench.open("tables", { tableName: "dapr" });
    const { etag = null } = await table("dapr").createEntity({ partitionKey: "app", rowKey: "k", Value: '"theirs"' });
    const found = await store.get("app||k", read, call);
    assert.deepEqual([String(found?.bytes), found?.etag], ['"theirs"', etag]);
    await store.set(write("app||k", '"ours"', { etag }), call);
    assert.equal((await table("dapr").getEntity("app", "k")).Value, '"ours"');
    assert.deepEqual(await keysIn(store, "app||", "app||"), ["app||k"]);
    await store.remove(removal("app||k"), call);
    await assert.rejects(table("dapr").getEntity("app", "k"), { statusCode: 404 });
  });

  it("has Dapr's rows under keys of few characters and many bytes, which its limit lets through", async () => {
    const store = await bench.open("tables", { tableName: "long" });
    // Azurite takes no more characters, the service twice as many.
    const row = "あ".repeat(512);
    await table("long").createEntity({ partitionKey: "app", rowKey: row, Value: '"theirs"' });
    const key = `app||${row}`;
    assert.ok(Buffer.byteLength(key) <= (store.limits.keyBytesMax ?? 0));
    assert.equal(await textOf(store, key), '"theirs"');
    await store.set(write(key, '"ours"'), call);
    assert.equal((await table("long").getEntity("app", row)).Value, '"ours"');
  });

  it("has bytes that are no text as binary, byte by byte", async () => {
    const store = await bench.open("tables");
    const raw = Buffer.of(0xff, 0, 0xc3, 0x28);
    await store.set(write("app||raw", raw, { isJson: false }), call);
    assert.deepEqual(Buffer.from((await store.get("app||raw", read, call))?.bytes ?? []), raw);
    const { Value } = await table().getEntity<{ Value: Uint8Array }>("app", "raw");
    assert.deepEqual(Buffer.from(Value), raw);
  });

  it("is told of as corrupt where something else wrote the row", async () => {
    const store = await bench.open("tables", { tableName: "foreign" });
    await table("foreign").createEntity({ partitionKey: "app", rowKey: "number", Value: 5 });
    await table("foreign").createEntity({ partitionKey: "app", rowKey: "none" });
    await table("foreign").createEntity({ partitionKey: "app", rowKey: "date", Value: new Date(0) });
    const foreign = ["app||number", "app||none", "app||date"];
    for (const key of foreign) await assert.rejects(textOf(store, key), { code: "corrupt" });
    await store.set(write("app||ours", "1"), call);
    const range = { scope: "app||", start: "app||" };
    const page = await store.list?.({ range, after: null, limit: 10, values: true }, call);
    assert.deepEqual(
      page?.rows.map(({ key }) => key),
      ["app||ours"],
    );
  });

  it("lists keys without bars by their partitions, and passes over those of others", async () => {
    const store = await bench.open("tables", { tableName: "bare" });
    for (const key of ["bare-1", "bare-2", "bear", "bare-3||x"]) await store.set(write(key, "1"), call);
    assert.deepEqual(await keysIn(store, "", "bare", 1), ["bare-1", "bare-2"]);
  });

  it("refuses positions that no page of the range has ended with", async () => {
    const store = await bench.open("tables");
    const range = { scope: "app||", start: "app||b" };
    for (const after of ["", "b", ">a", "=c", "~", "~{}", "~[1]"])
      await assert.rejects(store.list?.({ range, after, limit: 1, values: false }, call) ?? Promise.resolve(), {
        code: "refused",
      });
  });

  it("jumps over the state of actors, however much there is", async () => {
    const store = await bench.open("tables", { tableName: "actors" });
    const types = Array.from({ length: 5 }, (_, index) => `type${index}`);
    const state = Array.from({ length: 100 }, (_, index) => upsert(`app||${types[index % 5]}||${index}||state`, "1"));
    await store.transact?.(state, call);
    for (const key of ["app||a", "app||type3", "app||z"]) await store.set(write(key, "1"), call);
    const range = { scope: "app||", start: "app||" };
    const page = await store.list?.({ range, after: null, limit: 3, values: true }, call);
    assert.deepEqual(
      page?.rows.map(({ key, found }) => [key, String(found?.bytes)]),
      [
        ["app||a", "1"],
        ["app||type3", "1"],
        ["app||z", "1"],
      ],
    );
    assert.deepEqual(await keysIn(store, "app||", "app||", 1), ["app||a", "app||type3", "app||z"]);
  });
});
