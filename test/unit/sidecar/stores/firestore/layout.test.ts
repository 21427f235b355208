// Entities as Dapr lays them out (dapr-state-stores.md 16b): what the driver writes, seen by Datastore's JSON API, and what
// somebody else wrote by it, read and updated.
import assert from "node:assert/strict";
import { type Store, StoreError } from "#sidecar/stores/store.ts";
import { describeWithDatastore } from "#test/servers/datastore.ts";
import { call, etagOf, keyOf, onOneServer, read, removal, textOf, upsert, write } from "./fixture.ts";

const INDEXED_MAX = 1500;

describeWithDatastore("the layout of Firestore's entities", () => {
  const { put, entity, open } = onOneServer();

  const stored = (name: string, value: object): object => ({
    key: { partitionId: { projectId: "test" }, path: [{ kind: "DaprState", name }] },
    properties: { Value: value },
  });

  it("is a kind, the key as a name, and one property, which is text", async () => {
    const store = await open();
    await store.set(write("app||a", '{"b": 1,  "ä": [1.50]}'), call);
    assert.deepEqual(await entity("app||a"), stored("app||a", { stringValue: '{"b": 1,  "ä": [1.50]}' }));
    await store.transact?.([upsert("app||b", "1"), upsert("app||c", "2", { firstWrite: true })], call);
    assert.deepEqual(await entity("app||b"), stored("app||b", { stringValue: "1" }));
    assert.deepEqual(await entity("app||c"), stored("app||c", { stringValue: "2" }));
  });

  it("leaves values out of the index with noIndex, and without it those that are too long for one", async () => {
    const [indexed, not] = [await open(), await open({ noIndex: "true" })];
    const kept = async (store: Store, text: string): Promise<unknown> => {
      await store.set(write("app||i", text), call);
      return entity("app||i");
    };
    const [most, more] = ["x".repeat(INDEXED_MAX), "x".repeat(INDEXED_MAX + 1)];
    assert.deepEqual(await kept(indexed, most), stored("app||i", { stringValue: most }));
    assert.deepEqual(await kept(indexed, more), stored("app||i", { stringValue: more, excludeFromIndexes: true }));
    assert.deepEqual(await kept(not, "1"), stored("app||i", { stringValue: "1", excludeFromIndexes: true }));
  });

  it("keeps bytes that are no text as a blob", async () => {
    const store = await open();
    const bytes = Uint8Array.of(0, 255, 254, 1, 128);
    await store.set(write("app||raw", bytes, { isJson: false }), call);
    assert.deepEqual(
      await entity("app||raw"),
      stored("app||raw", { blobValue: Buffer.from(bytes).toString("base64") }),
    );
    assert.deepEqual(Buffer.from((await store.get("app||raw", read, call))?.bytes ?? []), Buffer.from(bytes));
  });

  it("has a kind of the Component's choice", async () => {
    const store = await open({ entity_kind: "Other" });
    await store.set(write("app||k", "1"), call);
    assert.equal(await entity("app||k"), null);
    await put(keyOf("app||k", "Other"), { Value: { stringValue: "2" } });
    assert.equal(await textOf(store, "app||k"), "2");
  });

  it("may have been written by Dapr: it is read, its ETag counts, and it stays in the layout", async () => {
    const store = await open();
    await put(keyOf("app||dapr"), { Value: { stringValue: '{"a":  1}' } });
    assert.equal(await textOf(store, "app||dapr"), '{"a":  1}');
    const etag = await etagOf(store, "app||dapr");
    assert.match(etag, /^\d{16}$/);
    await assert.rejects(store.set(write("app||dapr", "2", { firstWrite: true }), call), { code: "etag-mismatch" });
    await store.set(write("app||dapr", "2", { etag }), call);
    assert.deepEqual(await entity("app||dapr"), stored("app||dapr", { stringValue: "2" }));
    await assert.rejects(store.remove(removal("app||dapr", { etag }), call), { code: "etag-mismatch" });
  });

  it("is told from entities that somebody else wrote without such a property", async () => {
    const store = await open();
    await put(keyOf("app||none"), { other: { stringValue: "1" } });
    await put(keyOf("app||number"), { Value: { integerValue: "9223372036854775807" } });
    await store.set(write("app||ours", "1"), call);
    const keys = ["app||none", "app||number", "app||ours"];
    for (const key of keys.slice(0, 2))
      await assert.rejects(store.get(key, read, call), { code: "corrupt", message: /no text in its property Value/ });
    const many = (await store.getMany?.(keys, read, call)) ?? [];
    assert.deepEqual(
      many.map((each) => each instanceof StoreError),
      [true, true, false],
    );
    const range = { scope: "app||", start: "app||n" };
    const page = await store.list?.({ range, after: null, limit: 10, values: true }, call);
    assert.deepEqual(page, { rows: [], next: null });
    assert.equal(await store.removeListed?.(keys, call), 1);
    assert.notEqual(await entity("app||none"), null);
  });

  it("has no place for a name in double underscores, which is refused, and under which there is nothing", async () => {
    const store = await open();
    await assert.rejects(store.set(write("__a__", "1"), call), { code: "refused", message: /in double underscores/ });
    assert.equal(await store.get("__a__", read, call), null);
    await store.set(write("__a", "1"), call);
    assert.deepEqual(
      (await store.getMany?.(["__a__", "__a", "k".repeat(INDEXED_MAX + 1)], read, call))?.map((each) => each === null),
      [true, false, true],
    );
  });

  it("has no place for a key with half a surrogate pair, which would be another key in UTF-8", async () => {
    const store = await open();
    const [text, half] = ["app||s\uFFFD", "app||s\uD800"];
    await store.set(write(text, "1"), call);
    const refused = { code: "refused", message: /half a surrogate pair/ };
    await assert.rejects(store.set(write(half, "2"), call), refused);
    await assert.rejects(store.remove(removal(half), call), refused);
    await assert.rejects(async () => store.transact?.([upsert(text, "3"), upsert(half, "4")], call), refused);
    assert.deepEqual([await textOf(store, half), await textOf(store, text)], [null, "1"]);
    const range = { scope: "app||", start: half };
    await assert.rejects(async () => store.list?.({ range, after: null, limit: 1, values: false }, call), refused);
  });

  it("refuses a transaction of more bytes than Datastore takes, before it is sent", async () => {
    const store = await open();
    const text = "x".repeat(1_000_000);
    const changes = Array.from({ length: 11 }, (_, index) => upsert(`app||big${index}`, text));
    await assert.rejects(async () => store.transact?.(changes, call), {
      code: "refused",
      message: /^a transaction of 110\d{5} bytes, want at most 10485760$/,
    });
    assert.equal(await textOf(store, "app||big0"), null);
    await store.transact?.(changes.slice(0, 10), call);
    assert.equal((await textOf(store, "app||big9"))?.length, text.length);
  });
});
