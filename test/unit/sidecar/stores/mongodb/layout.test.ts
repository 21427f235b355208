// Interchange: documents as Dapr lays them out, written by hand by a second client, read and updated; and what the driver
// writes, compared with that layout (dapr-state-stores.md 12b).
import assert from "node:assert/strict";
import { Binary, Decimal128, type Document, Double, Long, ObjectId } from "mongodb";
import { LIST_BYTES_MAX, StoreError } from "#sidecar/stores/store.ts";
import { describeWithMongodb } from "#test/servers/mongodb.ts";
import { call, onOneServer, read, removal, textOf, write } from "./fixture.ts";

const ETAG = "7f3c1d0e-4b2a-4c55-9d7e-0a1b2c3d4e5f";
const HOUR_MS = 3_600_000;

describeWithMongodb("documents of Dapr's in MongoDB", () => {
  const { open, collection } = onOneServer();

  const put = (id: string, value: unknown, more: Document = {}): Promise<unknown> =>
    collection().insertOne({ _id: id, value, _etag: ETAG, _ttl: null, ...more } as Document);

  it("are read: decoded JSON, strings with their quotes, bytes, and times", async () => {
    const store = await open();
    const ttl = new Date(Date.now() + HOUR_MS);
    await put("dapr-object", { b: new Double(1), a: [new Double(2.5), "x", true, null], n: new Double(1e21) });
    await put("dapr-string", '"hello"');
    await put("dapr-bytes", "\u0001");
    await put("dapr-number", new Double(123));
    await put("dapr-boolean", true);
    await put("dapr-null", null);
    await put("dapr-array", []);
    await put("dapr-ttl", "1", { _ttl: ttl });
    const texts = {
      "dapr-object": '{"b":1,"a":[2.5,"x",true,null],"n":1e+21}',
      "dapr-string": '"hello"',
      "dapr-bytes": "\u0001",
      "dapr-number": "123",
      "dapr-boolean": "true",
      "dapr-null": "null",
      "dapr-array": "[]",
      "dapr-ttl": "1",
    };
    for (const [key, text] of Object.entries(texts)) assert.equal(await textOf(store, key), text);
    const found = await store.get("dapr-ttl", read, call);
    assert.deepEqual([found?.etag, found?.expiresAtMs], [ETAG, ttl.getTime()]);
  });

  it("are updated by their ETag, keep members that are nobody's, and are deleted by it", async () => {
    const store = await open();
    await put("dapr-update", { a: 1 }, { owner: "somebody" });
    await store.set(write("dapr-update", '{"a":2}', { etag: ETAG }), call);
    const document = await collection().findOne({ _id: "dapr-update" } as Document);
    assert.deepEqual([document?.owner, document?.value], ["somebody", { a: 2 }]);
    const etag = String(document?._etag);
    assert.notEqual(etag, ETAG);
    await assert.rejects(store.remove(removal("dapr-update", { etag: ETAG }), call), { code: "etag-mismatch" });
    await store.remove(removal("dapr-update", { etag }), call);
    assert.equal(await collection().findOne({ _id: "dapr-update" } as Document), null);
  });

  it("are hidden when their time is over, and then count as none", async () => {
    const store = await open();
    const gone = { _ttl: new Date(Date.now() - 1000) };
    for (const key of ["over-1", "over-2", "over-3"]) await put(key, "1", gone);
    assert.equal(await textOf(store, "over-1"), null);
    await assert.rejects(store.set(write("over-1", "2", { etag: ETAG }), call), { code: "etag-mismatch" });
    await assert.rejects(store.remove(removal("over-1", { etag: ETAG }), call), { code: "etag-mismatch" });
    await store.set(write("over-2", "2", { firstWrite: true }), call);
    assert.equal(await textOf(store, "over-2"), "2");
    const range = { scope: "", start: "over-" };
    assert.equal(await store.count?.(range, call), 1);
    const page = await store.list?.({ range, after: null, limit: 10, values: false }, call);
    assert.deepEqual(
      page?.rows.map(({ key }) => key),
      ["over-2"],
    );
  });

  it("are written as Dapr writes them", async () => {
    const store = await open();
    const beforeMs = Date.now();
    await store.set(write("own-object", '{"b":1,"a":[2.5,"$x",true,null]}', { ttlSec: 60 }), call);
    await store.set(write("own-string", '"he said \\"no\\""'), call);
    await store.set(write("own-number", "123"), call);
    await store.set(write("own-bytes", '{"a": 1}', { isJson: false }), call);
    await store.set(
      write("own-grpc", '{"a": 1}', { isJson: false, metadata: { contentType: "application/json" } }),
      call,
    );
    const dump = await collection()
      .find({ _id: { $regex: "^own-" } } as Document, { promoteValues: false, sort: { _id: 1 } })
      .toArray();
    const byKey = new Map(dump.map((document) => [String(document._id), document]));
    for (const document of dump) {
      assert.deepEqual(Object.keys(document).sort(), ["_etag", "_id", "_ttl", "value"]);
      assert.match(document._etag, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
    const object = byKey.get("own-object");
    assert.deepEqual(object?.value, { b: new Double(1), a: [new Double(2.5), "$x", true, null] });
    assert.ok(object?._ttl instanceof Date && Math.abs(object._ttl.getTime() - beforeMs - 60_000) < 5000);
    assert.deepEqual(
      ["own-string", "own-number", "own-bytes", "own-grpc"].map((key) => [byKey.get(key)?.value, byKey.get(key)?._ttl]),
      [
        ['"he said \\"no\\""', null],
        [new Double(123), null],
        ['{"a": 1}', null],
        [{ a: new Double(1) }, null],
      ],
    );
  });

  it("replace an object and do not merge into it", async () => {
    const store = await open();
    await store.set(write("merge", '{"a":1,"b":{"c":1}}'), call);
    await store.set(write("merge", '{"b":{"d":1}}'), call);
    assert.equal(await textOf(store, "merge"), '{"b":{"d":1}}');
  });

  it("keep as text what BSON would change, which Dapr reads as it is", async () => {
    const store = await open();
    for (const text of ['{"a":1,"a":2}', '{"pi":3.14159265358979323846}', '{"$set":{"a.b":1}}', '["\\ud800"]']) {
      await store.set(write("text", text), call);
      assert.equal((await collection().findOne({ _id: "text" } as Document))?.value, text);
      assert.equal(await textOf(store, "text"), text);
    }
  });

  it("keep as text what would be larger in BSON than a document may be", async () => {
    const store = await open();
    const items = `[${"0,".repeat(2_000_000)}0]`;
    await store.set(write("large", items), call);
    assert.equal((await textOf(store, "large"))?.length, items.length);
    const document = await collection().findOne({ _id: "large" } as Document);
    assert.equal(typeof document?.value, "string");
    await store.remove(removal("large"), call);
  });

  it("are read also where something else wrote them: numbers of all kinds, and what JSON has no word for", async () => {
    const store = await open();
    const id = new ObjectId();
    await put("else", {
      int: 5,
      long: Long.fromString("9007199254740993"),
      decimal: Decimal128.fromString("1.50"),
      date: new Date(0),
      id,
      bytes: new Binary(Buffer.from([1, 2])),
      text: "x",
    });
    assert.equal(
      await textOf(store, "else"),
      `{"int":5,"long":9007199254740993,"decimal":{"$numberDecimal":"1.50"},"date":{"$date":"1970-01-01T00:00:00Z"},` +
        `"id":{"$oid":"${id.toHexString()}"},"bytes":{"$binary":{"base64":"AQI=","subType":"00"}},"text":"x"}`,
    );
  });

  it("without a value are no rows: an error alone, one of many in bulk, and in no list", async () => {
    const store = await open();
    await collection().insertOne({ _id: "odd-1", name: "x" } as Document);
    await put("odd-2", "1");
    await put("odd-3", "1", { _ttl: "soon" });
    await assert.rejects(store.get("odd-1", read, call), { code: "corrupt", message: /no member value/ });
    const [odd, good, soon] = (await store.getMany?.(["odd-1", "odd-2", "odd-3"], read, call)) ?? [];
    assert.ok(odd instanceof StoreError && odd.code === "corrupt");
    assert.ok(soon instanceof StoreError && soon.code === "corrupt");
    assert.ok(good !== null && !(good instanceof Error));
    const range = { scope: "", start: "odd-" };
    for (const values of [true, false]) {
      const page = await store.list?.({ range, after: null, limit: 10, values }, call);
      assert.deepEqual(
        page?.rows.map(({ key }) => key),
        ["odd-2"],
      );
    }
    assert.equal(await store.count?.(range, call), 1);
    assert.equal(await store.removeListed?.(["odd-1", "odd-2", "odd-3"], call), 1);
    assert.ok((await collection().findOne({ _id: "odd-1" } as Document)) !== null);
  });

  it("make the index by which the server removes them", async () => {
    await open();
    const indexes = await collection().indexes();
    assert.ok(indexes.some(({ key, expireAfterSeconds }) => key._ttl === 1 && Number(expireAfterSeconds) === 0));
  });
});

describeWithMongodb("a walk over MongoDB", () => {
  const { open, collection } = onOneServer();

  it("jumps over the state of actors, a type at a time", async () => {
    const store = await open();
    const actors = ["Account", "Cart", "Order"].flatMap((type) =>
      Array.from({ length: 1200 }, (_, index) => `app||${type}||${index}||state`),
    );
    const own = ["app||a", "app||Bike", "app||z"];
    await collection().insertMany(
      [...actors, ...own].map((_id) => ({ _id, value: "1", _etag: "e", _ttl: null })) as Document[],
    );
    const range = { scope: "app||", start: "app||" };
    const page = await store.list?.({ range, after: null, limit: 10, values: false }, call);
    assert.deepEqual(page, {
      rows: ["app||Bike", "app||a", "app||z"].map((key) => ({ key, found: null })),
      next: null,
    });
    assert.equal(await store.count?.(range, call), 3);
  });

  it("reads no more than a page of large values at once", async () => {
    const store = await open();
    const value = "x".repeat(3 * 1024 * 1024);
    for (const key of ["page-1", "page-2", "page-3", "page-4", "page-5"])
      await store.set(write(key, `"${value}"`), call);
    const range = { scope: "", start: "page-" };
    const first = await store.list?.({ range, after: null, limit: 100, values: true }, call);
    assert.equal(first?.rows.length, Math.ceil(LIST_BYTES_MAX / (value.length + 2)));
    const second = await store.list?.({ range, after: first?.next ?? "", limit: 100, values: true }, call);
    assert.deepEqual(
      second?.rows.map(({ key }) => key),
      ["page-4", "page-5"],
    );
  });
});
