// The bytes in Redis, both ways: what this driver writes, looked at with a plain client, and what Dapr writes, read here.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { call, etagOf, onOneServer, read, removal, textOf, upsert, write } from "./fixture.ts";

describeWithRedis("the layout in Redis", () => {
  let store: Store;
  let plain: Redis;
  onOneServer((opened) => {
    ({ store, plain } = opened);
  });

  it("writes a hash of data and version, in this order", async () => {
    await store.set(write("app||k", '{"a":1}'), call);
    assert.deepEqual(await rawHash("app||k"), ["data", '{"a":1}', "version", "1"]);
    await store.set(write("app||k", "2"), call);
    assert.deepEqual(await rawHash("app||k"), ["data", "2", "version", "2"]);
  });

  it("writes the first-write mark between them, as 0", async () => {
    await store.set(write("k", "1", { firstWrite: true }), call);
    assert.deepEqual(await rawHash("k"), ["data", "1", "first-write", "0", "version", "1"]);
  });

  it("writes the same in a transaction", async () => {
    await store.transact?.([upsert("k", "1", { firstWrite: true }), upsert("l", "2")], call);
    assert.deepEqual(await rawHash("k"), ["data", "1", "first-write", "0", "version", "1"]);
    assert.deepEqual(await rawHash("l"), ["data", "2", "version", "1"]);
  });

  it("keeps bytes exactly, whatever view they come in", async () => {
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    await store.set({ ...write("k", ""), bytes: all.subarray(10, 250) }, call);
    const found = await store.get("k", read, call);
    assert.deepEqual(Buffer.from(found?.bytes ?? []), Buffer.from(all.subarray(10, 250)));
    await store.set(write("k", ""), call);
    assert.equal(await textOf(store, "k"), "");
  });

  it("leaves a plain hash when the content type is application/json", async () => {
    await store.set(write("k", "{}", { metadata: { contentType: "application/json" } }), call);
    assert.equal(await plain.type("k"), "hash");
  });

  it("reads a row of Dapr with its version as the ETag", async () => {
    await plain.hset("k", "data", '"x"', "version", "41");
    assert.deepEqual(await store.get("k", read, call), { bytes: Buffer.from('"x"'), etag: "41", expiresAtMs: null });
  });

  it("keeps versions beyond 2^53 apart", async () => {
    await plain.hset("k", "data", "1", "version", "9007199254740993");
    await assert.rejects(store.set(write("k", "2", { etag: "9007199254740992" }), call), { code: "etag-mismatch" });
    await store.set(write("k", "2", { etag: "9007199254740993" }), call);
    assert.equal(await etagOf(store, "k"), "9007199254740994");
  });

  it("writes over a row that Dapr marked first-write, and keeps the mark", async () => {
    await plain.hset("k", "data", "1", "first-write", "0", "version", "3");
    await store.set(write("k", "2"), call);
    assert.deepEqual(await rawHash("k"), ["data", "2", "first-write", "0", "version", "4"]);
  });

  it("reads a plain string of an early Dapr without an ETag, and its expiry", async () => {
    await plain.set("k", "old", "EX", 100);
    const found = await store.get("k", read, call);
    assert.equal(Buffer.from(found?.bytes ?? []).toString(), "old");
    assert.equal(found?.etag, null);
    assert.ok((found?.expiresAtMs ?? 0) > Date.now());
  });

  it("replaces a plain string by a row without its expiry, and removes it", async () => {
    await plain.set("k", "old", "EX", 100);
    await store.set(write("k", "new"), call);
    assert.deepEqual(await rawHash("k"), ["data", "new", "version", "1"]);
    assert.equal(await plain.ttl("k"), -1);
    await plain.set("l", "old");
    await store.remove(removal("l"), call);
    assert.equal(await plain.exists("l"), 0);
  });

  it("refuses a condition on a plain string, which has no ETag", async () => {
    await plain.set("k", "old");
    for (const condition of [{ etag: "1" }, { etag: "0" }, { firstWrite: true }]) {
      await assert.rejects(store.set(write("k", "new", condition), call), { code: "etag-mismatch" });
    }
    await assert.rejects(store.remove(removal("k", { etag: "1" }), call), { code: "etag-mismatch" });
    await assert.rejects(store.transact?.([upsert("k", "new", { etag: "1" })], call) ?? Promise.resolve(), {
      code: "etag-mismatch",
    });
    assert.equal(await plain.get("k"), "old");
  });

  it("calls a key of another type corrupt, and a hash without its fields", async () => {
    await plain.rpush("list", "x");
    await assert.rejects(store.get("list", read, call), { name: "StoreError", code: "corrupt" });
    for (const field of ["data", "version", "other"]) {
      await plain.hset(field, field, "1");
      const missing = "required hash field 'data' or 'version' was not found";
      await assert.rejects(store.get(field, read, call), { code: "corrupt", message: missing });
    }
  });

  it("calls a version that cannot be raised corrupt, and writes nothing", async () => {
    for (const version of ["x", "01", "1.5", "9223372036854775807"]) {
      await plain.hset("k", "data", "old", "version", version);
      await assert.rejects(store.set(write("k", "new"), call), { code: "corrupt" });
      await assert.rejects(store.transact?.([upsert("j", "1"), upsert("k", "new")], call) ?? Promise.resolve(), {
        code: "corrupt",
        message: /^change 2 of 2: /,
      });
      assert.deepEqual(await rawHash("k"), ["data", "old", "version", version]);
      assert.equal(await plain.exists("j"), 0);
    }
  });

  it("gives a hash without a version its first one", async () => {
    await plain.hset("k", "data", "old");
    await store.set(write("k", "new"), call);
    assert.deepEqual(await rawHash("k"), ["data", "new", "version", "1"]);
  });

  async function rawHash(key: string): Promise<unknown> {
    return plain.eval("return redis.call('HGETALL', KEYS[1])", 1, key);
  }
});
