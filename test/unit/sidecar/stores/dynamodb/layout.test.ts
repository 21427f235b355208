// The items in DynamoDB, both ways: what this driver writes, looked at with Amazon's own client, and what Dapr writes,
// read, compared and replaced here.
import assert from "node:assert/strict";
import { StoreError } from "#sidecar/stores/store.ts";
import { describeWithDynamo, TTL_ATTRIBUTE } from "#test/servers/dynamodb.ts";
import { ahead, call, deletion, onOneServer, read, removal, textOf, upsert, write } from "./fixture.ts";

const HOUR_SEC = 3600;

describeWithDynamo("the layout of state.aws.dynamodb", () => {
  const { server, open, metadata, rawGet, rawPut } = onOneServer();
  const inHourSec = (): number => Math.floor(Date.now() / 1000) + HOUR_SEC;

  it("keeps JSON as text beside the key and an ETag, and nothing else", async () => {
    const store = await open();
    await store.set(write("app||json", '{"b":1, "a":"\u00e4"}'), call);
    const item = await rawGet("app||json");
    const { etag, ...rest } = item ?? {};
    assert.deepEqual(rest, { key: { S: "app||json" }, value: { S: '{"b":1, "a":"\u00e4"}' } });
    assert.match(etag?.S ?? "", /^[1-9a-f][0-9a-f]{0,15}$/);
    assert.equal((await store.get("app||json", read, call))?.etag, etag?.S);
  });

  it("keeps raw bytes as bytes, also where they are text", async () => {
    const store = await open();
    for (const text of ["\u0000\u0001", "text", "{}"]) {
      await store.set(write("app||raw", text, { isJson: false }), call);
      assert.deepEqual(Buffer.from((await rawGet("app||raw"))?.value?.B ?? []), Buffer.from(text));
    }
  });

  it("keeps what is said to be JSON and is no UTF-8 as bytes", async () => {
    const store = await open();
    const bytes = Buffer.of(0x22, 0xff, 0x22);
    await store.set(write("broken", "", { bytes }), call);
    assert.deepEqual(Buffer.from((await rawGet("broken"))?.value?.B ?? []), bytes);
  });

  it("keeps the time of expiry in seconds, and takes it off with a write without one", async () => {
    const store = await open();
    const fromSec = Math.floor(Date.now() / 1000);
    await store.set(write("ttl", "1", { ttlSec: 100 }), call);
    const expiry = Number((await rawGet("ttl"))?.[TTL_ATTRIBUTE]?.N);
    assert.ok(expiry >= fromSec + 100 && expiry <= fromSec + 105, String(expiry));
    await store.set(write("ttl", "2"), call);
    assert.equal(TTL_ATTRIBUTE in ((await rawGet("ttl")) ?? {}), false);
  });

  it("has the same items out of a transaction", async () => {
    const store = await open();
    const changes = [upsert("tx", '"a"', { ttlSec: 100 }), upsert("tx-raw", "a", { isJson: false })];
    await store.transact?.(changes, call);
    const item = (await rawGet("tx")) ?? {};
    assert.deepEqual(Object.keys(item).sort(), ["etag", TTL_ATTRIBUTE, "key", "value"].sort());
    assert.deepEqual(item.value, { S: '"a"' });
    assert.deepEqual(Buffer.from((await rawGet("tx-raw"))?.value?.B ?? []), Buffer.from("a"));
  });

  it("has other names for hash keys where the Component says so", async () => {
    const table = await server().createTable({ hashKey: "Contract.ID" });
    const store = await open({ table, partitionKey: "Contract.ID" });
    await store.set(write("k", "1", { firstWrite: true }), call);
    await assert.rejects(store.set(write("k", "2", { firstWrite: true }), call), { code: "etag-mismatch" });
    await store.transact?.([upsert("k", "3"), deletion("none")], call);
    const [found] = (await store.getMany?.(["k"], read, call)) ?? [];
    assert.ok(found !== null && found !== undefined && !(found instanceof StoreError));
    assert.equal(Buffer.from(found.bytes).toString(), "3");
  });

  it("reads, compares, replaces and deletes what Dapr has written", async () => {
    const store = await open();
    const theirs = { key: { S: "theirs" }, value: { S: '{"a":1}' }, etag: { S: "9c3f2a0d11e5b7" } };
    const expiresAtSec = inHourSec();
    await rawPut({ ...theirs, [TTL_ATTRIBUTE]: { N: String(expiresAtSec) } });
    const found = await store.get("theirs", read, call);
    assert.deepEqual([found?.etag, found?.expiresAtMs], ["9c3f2a0d11e5b7", expiresAtSec * 1000]);
    assert.equal(await textOf(store, "theirs"), '{"a":1}');
    await assert.rejects(store.set(write("theirs", "2", { etag: "9C3F2A0D11E5B7" }), call), { code: "etag-mismatch" });
    await store.set(write("theirs", "2", { etag: "9c3f2a0d11e5b7" }), call);
    assert.deepEqual((await rawGet("theirs"))?.value, { S: "2" });
    await rawPut({ ...theirs, value: { B: Buffer.of(1, 255) } });
    assert.deepEqual(Buffer.from((await store.get("theirs", read, call))?.bytes ?? []), Buffer.of(1, 255));
    await store.remove(removal("theirs", { etag: "9c3f2a0d11e5b7" }), call);
    assert.equal(await rawGet("theirs"), null);
  });

  it("reads what Dapr's first releases wrote without an ETag, and never creates over it", async () => {
    const store = await open();
    await rawPut({ key: { S: "old" }, value: { S: "1" } });
    assert.equal((await store.get("old", read, call))?.etag, null);
    await assert.rejects(store.set(write("old", "2", { firstWrite: true }), call), { code: "etag-mismatch" });
    await assert.rejects(store.set(write("old", "2", { etag: "1" }), call), { code: "etag-mismatch" });
    await store.set(write("old", "2"), call);
    assert.equal(await textOf(store, "old"), "2");
  });

  it("looks at no expiry without ttlAttributeName, as Dapr", async () => {
    const store = await open({ ttlAttributeName: "" });
    await rawPut({ key: { S: "over" }, value: { S: "1" }, etag: { S: "a" }, [TTL_ATTRIBUTE]: { N: "1" } });
    assert.deepEqual([await textOf(store, "over"), store.features.ttl], ["1", false]);
  });

  for (const [what, item] of [
    ["without a value", { etag: { S: "a" } }],
    ["whose value is a number", { value: { N: "1" } }],
    ["whose expiry is text", { value: { S: "1" }, [TTL_ATTRIBUTE]: { S: "tomorrow" } }],
  ] as const) {
    it(`calls an item ${what} corrupt, and tells the others`, async () => {
      const store = await open();
      await rawPut({ key: { S: "bad" }, ...item });
      await store.set(write("good", "1"), call);
      await assert.rejects(store.get("bad", read, call), { code: "corrupt", message: /none of state.aws.dynamodb/ });
      const [bad, good] = (await store.getMany?.(["bad", "good"], read, call)) ?? [];
      assert.ok(bad instanceof StoreError && bad.code === "corrupt");
      assert.ok(good !== null && !(good instanceof StoreError));
    });
  }

  it("takes the largest value under the longest key with the longest names, and the service takes it too", async () => {
    const [partitionKey, ttlAttributeName] = ["k".repeat(255), "t".repeat(255)];
    const table = await server().createTable({ hashKey: partitionKey });
    const store = await open({ table, partitionKey, ttlAttributeName });
    const key = "x".repeat(2048);
    const text = "v".repeat(store.limits.valueBytesMax ?? 0);
    // Of ETags that begin with zeros some are shorter; among eight one is whole.
    for (let count = 0; count < 8; count++) await store.set(write(key, text, { ttlSec: 2_147_483_647 }), call);
    assert.equal((await textOf(store, key))?.length, text.length);
    await assert.rejects(store.set(write(key, `${text}v`), call), { code: "refused" });
    await assert.rejects(store.set(write(`${key}x`, "1"), call), { code: "refused", message: /2048 bytes/ });
  });

  it("refuses a key with half a surrogate pair, for two of them would be one item", async () => {
    const store = await open();
    const refused = { code: "refused", message: /half a surrogate pair/ };
    await store.set(write("half?", "1"), call);
    for (const key of ["half\ud800", "half\udc01"]) {
      await assert.rejects(store.set(write(key, "2"), call), refused);
      await assert.rejects(store.remove(removal(key), call), refused);
      await assert.rejects(store.get(key, read, call), refused);
      await assert.rejects(async () => store.transact?.([upsert("other", "2"), deletion(key)], call), refused);
      const [bad, good] = (await store.getMany?.([key, "half?"], read, call)) ?? [];
      assert.ok(bad instanceof StoreError && bad.code === "refused");
      assert.ok(good !== null && good !== undefined && !(good instanceof StoreError));
    }
    assert.deepEqual([await textOf(store, "half?"), await textOf(store, "other")], ["1", null]);
  });

  it("refuses a transaction of more than 4 MB, and writes nothing", async () => {
    const store = await open();
    const changes = Array.from({ length: 12 }, (_, index) => upsert(`large-${index}`, "v".repeat(400_000)));
    await assert.rejects(async () => store.transact?.(changes, call), { code: "refused", message: /4 MB/ });
    assert.equal(await textOf(store, "large-0"), null);
  });

  it("refuses two ETags for one key of a transaction, and writes nothing", async () => {
    const store = await open();
    await store.set(write("two", "1"), call);
    const etag = (await store.get("two", read, call))?.etag ?? "";
    for (const other of [upsert("two", "3", { etag: "other" }), upsert("two", "3", { firstWrite: true })]) {
      const changes = [upsert("two", "2", { etag }), upsert("three", "1"), other];
      const conflict = { code: "etag-mismatch", message: /^change 3 of 3: / };
      await assert.rejects(async () => store.transact?.(changes, call), conflict);
    }
    assert.deepEqual([await textOf(store, "two"), await textOf(store, "three")], ["1", null]);
  });

  it("names the change of a transaction whose condition fails", async () => {
    const store = await open();
    await store.set(write("named", "1"), call);
    const changes = [upsert("a", "1"), upsert("b", "1"), upsert("a", "2"), deletion("named", { etag: "other" })];
    const message = "change 4 of 4: the value has another etag than the one passed, or there is no value";
    await assert.rejects(async () => store.transact?.(changes, call), { code: "etag-mismatch", message });
  });

  describe("an item whose time is over and that still lies there", () => {
    const later = ahead(2 * HOUR_SEC);

    it("is hidden from reads, one by one and in bulk", async () => {
      const [now, then] = [await open(), await open({}, { clock: later })];
      await now.set(write("over-read", "1", { ttlSec: HOUR_SEC }), call);
      assert.equal(await textOf(now, "over-read"), "1");
      assert.equal(await textOf(then, "over-read"), null);
      assert.deepEqual(await then.getMany?.(["over-read"], read, call), [null]);
    });

    it("keeps no ETag, for writes, deletes and transactions", async () => {
      const [now, then] = [await open(), await open({}, { clock: later })];
      await now.set(write("over-etag", "1", { ttlSec: HOUR_SEC }), call);
      const etag = (await now.get("over-etag", read, call))?.etag ?? "";
      const conflict = { code: "etag-mismatch" };
      await assert.rejects(then.set(write("over-etag", "2", { etag }), call), conflict);
      await assert.rejects(then.remove(removal("over-etag", { etag }), call), conflict);
      await assert.rejects(async () => then.transact?.([upsert("over-etag", "2", { etag })], call), conflict);
      await assert.rejects(async () => then.transact?.([deletion("over-etag", { etag })], call), conflict);
      await now.set(write("over-etag", "2", { etag }), call);
    });

    it("is created over by first-write, once", async () => {
      const [now, then] = [await open(), await open({}, { clock: later })];
      for (const key of ["over-first", "over-inside"]) await now.set(write(key, "1", { ttlSec: HOUR_SEC }), call);
      await then.set(write("over-first", "2", { firstWrite: true }), call);
      await assert.rejects(then.set(write("over-first", "3", { firstWrite: true }), call), { code: "etag-mismatch" });
      await then.transact?.([upsert("over-inside", "2", { firstWrite: true })], call);
      assert.equal(await textOf(now, "over-inside"), "2");
    });
  });

  it("is the same table for stores with other Components", async () => {
    const { ttlAttributeName: _without, ...plain } = metadata();
    const [one, other] = [await open(), await open(plain)];
    await one.set(write("shared", "1"), call);
    assert.equal(await textOf(other, "shared"), "1");
  });
});
