// Rows as JSON documents, both ways: what this driver writes, looked at with a plain client, and what Dapr writes, read here.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import { evaluate, MEASURE_DOCUMENT, NO_MEASURE, SET, TRANSACT, VERDICT } from "#sidecar/stores/redis/scripts.ts";
import type { ListPage, Store, Write } from "#sidecar/stores/store.ts";
import type { RedisServer } from "#test/servers/redis.ts";
import { describeWithRedisStack, redisStack } from "#test/servers/redis-stack.ts";
import { call, deletion, etagOf, onOneServer, openLink, read, removal, textOf, upsert, write } from "./fixture.ts";

const JSON_TYPE = { contentType: "application/json" };

function asDocument(more: Partial<Write> = {}): Partial<Write> {
  return { ...more, metadata: JSON_TYPE };
}

describeWithRedisStack("a row as a JSON document", () => {
  let server: RedisServer;
  let store: Store;
  let plain: Redis;
  onOneServer((opened) => {
    ({ server, store, plain } = opened);
  }, redisStack);

  const raw = async (key: string): Promise<unknown> => plain.call("JSON.GET", key);
  const putRaw = async (key: string, text: string): Promise<unknown> => plain.call("JSON.SET", key, "$", text);

  it("is written as Dapr writes it when the content type is application/json", async () => {
    await store.set(write("app||k", '{"b":1, "a":[true,null,"é"]}', asDocument()), call);
    assert.equal(await raw("app||k"), '{"data":{"b":1,"a":[true,null,"é"]},"version":1}');
    await store.set(write("app||k", '"text"', asDocument()), call);
    assert.equal(await raw("app||k"), '{"data":"text","version":2}');
  });

  it("is not written for any other content type, nor for bytes that came in raw", async () => {
    await store.set(write("k", "1", { metadata: { contentType: "application/JSON" } }), call);
    await store.set(write("l", "1", { metadata: { contenttype: "application/json" } }), call);
    await store.set(write("m", "1", asDocument({ isJson: false })), call);
    assert.deepEqual(await Promise.all(["k", "l", "m"].map((key) => plain.type(key))), ["hash", "hash", "hash"]);
  });

  it("has the first-write mark between value and version, until the next write without it", async () => {
    await store.set(write("k", "1", asDocument({ firstWrite: true })), call);
    assert.equal(await raw("k"), '{"data":1,"first-write":0,"version":1}');
    await assert.rejects(store.set(write("k", "2", asDocument({ firstWrite: true })), call), { code: "etag-mismatch" });
    await store.set(write("k", "2", asDocument()), call);
    assert.equal(await raw("k"), '{"data":2,"version":2}');
  });

  it("is written in a transaction by what each change says", async () => {
    await putRaw("gone", '{"data":1,"version":4}');
    const changes = [
      upsert("k", "1", asDocument({ firstWrite: true, ttlSec: 100 })),
      upsert("l", "2"),
      deletion("gone", { etag: "4" }),
      upsert("k", "3", asDocument()),
    ];
    await store.transact?.(changes, call);
    assert.equal(await raw("k"), '{"data":3,"version":2}');
    assert.deepEqual(await plain.hgetall("l"), { data: "2", version: "1" });
    assert.deepEqual([await plain.exists("gone"), await plain.ttl("k")], [0, -1]);
  });

  it("of Dapr is read whatever the request says", async () => {
    await putRaw("app||k", '{"data":{"n":1.5},"first-write":0,"version":41}');
    const want = { bytes: Buffer.from('{"n":1.5}'), etag: "41", expiresAtMs: null };
    assert.deepEqual(await store.get("app||k", read, call), want);
    assert.deepEqual(await store.get("app||k", { strong: false, metadata: JSON_TYPE }, call), want);
    await plain.hset("app||h", "data", "7", "version", "3");
    await plain.set("app||s", "8");
    const found = await store.getMany?.(
      ["app||s", "app||k", "app||none", "app||h"],
      { ...read, metadata: JSON_TYPE },
      call,
    );
    const texts = found?.map((each) => (each !== null && "bytes" in each ? Buffer.from(each.bytes).toString() : null));
    assert.deepEqual(texts, ["8", '{"n":1.5}', null, "7"]);
  });

  it("holds the ETag's condition in updates, deletes and transactions", async () => {
    await putRaw("k", '{"data":1,"version":9007199254740993}');
    const stale = { etag: "9007199254740992" };
    const right = { etag: "9007199254740993" };
    await assert.rejects(store.set(write("k", "2", asDocument(stale)), call), { code: "etag-mismatch" });
    await assert.rejects(store.remove(removal("k", stale), call), { code: "etag-mismatch" });
    await assert.rejects(async () => store.transact?.([upsert("l", "1"), upsert("k", "2", stale)], call), {
      code: "etag-mismatch",
      message: /change 2 of 2/,
    });
    assert.equal(await raw("k"), '{"data":1,"version":9007199254740993}');
    await store.set(write("k", "2", asDocument(right)), call);
    assert.equal(await raw("k"), '{"data":2,"version":9007199254740994}');
    await store.remove(removal("k", { etag: "9007199254740994" }), call);
    assert.equal(await textOf(store, "k"), null);
  });

  it("becomes a hash by a plain write, and the hash a document, and the counter goes on", async () => {
    await putRaw("k", '{"data":1,"first-write":0,"version":5}');
    await assert.rejects(store.set(write("k", "2", { etag: "1" }), call), { code: "etag-mismatch" });
    await store.set(write("k", "2", { etag: "5" }), call);
    assert.deepEqual(await plain.hgetall("k"), { data: "2", version: "6" });
    await assert.rejects(store.set(write("k", "3", asDocument({ etag: "5" })), call), { code: "etag-mismatch" });
    await store.set(write("k", "3", asDocument({ etag: "6" })), call);
    assert.equal(await raw("k"), '{"data":3,"version":7}');
    await store.transact?.([upsert("k", "4"), upsert("k", "5", asDocument())], call);
    assert.equal(await raw("k"), '{"data":5,"version":9}');
  });

  it("replaces an early Dapr's string, which is still read without an ETag", async () => {
    await plain.set("k", "old");
    assert.deepEqual(await store.get("k", read, call), { bytes: Buffer.from("old"), etag: null, expiresAtMs: null });
    await store.set(write("k", "1", asDocument()), call);
    assert.equal(await raw("k"), '{"data":1,"version":1}');
  });

  it("expires as its last write says, whatever form the key had before", async () => {
    const forms = [{}, asDocument()];
    for (const before of forms) {
      for (const after of forms) {
        await store.set(write("k", "1", { ...before, ttlSec: 100 }), call);
        const { expiresAtMs } = (await store.get("k", read, call)) ?? {};
        assert.ok(Math.abs(Number(expiresAtMs) - Date.now() - 100_000) < 15_000);
        await store.set(write("k", "2", after), call);
        assert.equal(await plain.ttl("k"), -1);
        await store.set(write("k", "3", { ...before, ttlSec: 50 }), call);
        assert.equal(await plain.ttl("k"), 50);
      }
    }
  });

  it("is listed, counted and deleted by prefix beside hashes, and documents of others are not", async () => {
    await putRaw("app||d", '{"data":{"long":"value"},"version":3}');
    await plain.hset("app||h", "data", "1", "version", "1");
    await plain.set("app||s", "old");
    await putRaw("app||x", '{"data":1}');
    await putRaw("app||y", '{"version":1}');
    await putRaw("app||z", "[1]");
    const page = async (values: boolean): Promise<ListPage | undefined> =>
      store.list?.({ range: { scope: "app||", start: "app||" }, after: null, limit: 100, values }, call);
    const keys = (await page(false))?.rows.map(({ key }) => key).sort();
    assert.deepEqual(keys, ["app||d", "app||h", "app||s"]);
    const rows = (await page(true))?.rows ?? [];
    const found = rows.find(({ key }) => key === "app||d")?.found;
    assert.deepEqual(found, { bytes: Buffer.from('{"long":"value"}'), etag: "3", expiresAtMs: null });
    assert.equal(await store.removeListed?.(["app||d", "app||h", "app||s", "app||x", "app||y", "app||z"], call), 3);
    assert.equal(await plain.exists("app||x", "app||y", "app||z"), 3);
  });

  it("ends a page by the bytes of the values", async () => {
    const value = `"${"v".repeat(3 * 1024 * 1024)}"`;
    for (const key of ["a", "b", "c", "d"]) await store.set(write(`app||${key}`, value, asDocument()), call);
    const sizes: number[] = [];
    let after: string | null = null;
    do {
      const range = { scope: "app||", start: "app||" };
      const page: ListPage | undefined = await store.list?.({ range, after, limit: 100, values: true }, call);
      sizes.push(page?.rows.length ?? 0);
      after = page?.next ?? null;
    } while (after !== null);
    assert.ok(Math.max(...sizes) <= 3, sizes.join());
    assert.equal(
      sizes.reduce((sum, size) => sum + size),
      4,
    );
  });

  it("of others is corrupt and left alone", async () => {
    for (const text of ["1", "{}", '{"data":1}', '{"data":1,"version":"1"}', '{"data":1,"version":1.5}']) {
      await putRaw("k", text);
      await assert.rejects(store.get("k", read, call), { code: "corrupt", message: /'data' and 'version'/ });
      await assert.rejects(store.set(write("k", "2", { etag: "1" }), call), { code: /etag-mismatch|corrupt/ });
      assert.equal(await raw("k"), text);
    }
    await assert.rejects(store.set(write("k", "2"), call), { code: "corrupt" });
  });

  it("counts versions of any length up by one, as a hash does", async () => {
    for (const version of [
      "0",
      "-1",
      "-10",
      "99999999999999",
      "-100000000000000",
      "-99999999999999",
      "100000999999999",
      "999999999999999999",
      "123456789999999999",
      "-12345678000000000",
    ]) {
      await putRaw("k", `{"data":1,"version":${version}}`);
      await store.set(write("k", "2", asDocument({ etag: version })), call);
      assert.equal(await raw("k"), `{"data":2,"version":${BigInt(version) + 1n}}`);
    }
  });

  it("is refused like a hash when the memory is full, whatever is under the key", async () => {
    await store.set(write("k", '"kept"', { ttlSec: 100 }), call);
    await store.set(write("l", "1", asDocument()), call);
    await plain.config("SET", "maxmemory", "1mb");
    try {
      for (const key of ["none", "k", "l"]) {
        await assert.rejects(store.set(write(key, "2", asDocument()), call), /out of memory/);
        await assert.rejects(async () => store.transact?.([upsert(key, "2", asDocument())], call), /out of memory/);
      }
    } finally {
      await plain.config("SET", "maxmemory", "0");
    }
    assert.deepEqual([await textOf(store, "k"), await plain.ttl("k"), await textOf(store, "l")], ['"kept"', 100, "1"]);
    assert.equal(await plain.exists("none"), 0);
  });

  it("that is gone by the time it is measured is no row, and what is a hash or a string by then no document", async () => {
    await plain.set("s", "old");
    await plain.hset("h", "data", "1", "version", "1");
    const link = await openLink(server.port, 5_000);
    try {
      assert.equal(await evaluate(link, MEASURE_DOCUMENT, ["1", "none", "1"]), NO_MEASURE.noRow);
      assert.equal(await evaluate(link, MEASURE_DOCUMENT, ["1", "h", "1"]), NO_MEASURE.hash);
      assert.equal(await evaluate(link, MEASURE_DOCUMENT, ["1", "s", "1"]), NO_MEASURE.noDocument);
    } finally {
      link.close("closed");
    }
  });

  const UNFIT: Readonly<Record<string, string>> = {
    "a number with more digits than a double": '{"pi":3.14159265358979323846}',
    "a whole number beyond 64 bits": "[18446744073709551616]",
    "a number beyond doubles": "1e400",
    "half a surrogate pair": '"\\ud83d"',
    "101 levels": "[".repeat(101) + "]".repeat(101),
  };
  for (const [what, text] of Object.entries(UNFIT)) {
    it(`is not made of ${what}: the value is kept byte for byte in a hash`, async () => {
      await store.set(write("k", text, asDocument()), call);
      assert.deepEqual(await plain.hgetall("k"), { data: text, version: "1" });
      assert.equal(await textOf(store, "k"), text);
      await store.transact?.([upsert("l", text, asDocument())], call);
      assert.deepEqual(await plain.hgetall("l"), { data: text, version: "1" });
    });
  }

  it("says in the capabilities, in Dapr's order, that the server has the module", () => {
    assert.deepEqual(store.capabilities, ["ETAG", "TRANSACTIONAL", "TTL", "QUERY_API", "KEYS_LIKE"]);
  });

  it("leaves the hash and its expiry when the server takes no document in its place", async () => {
    await store.set(write("k", '"kept"', { ttlSec: 100 }), call);
    const link = await openLink(server.port, 5_000);
    try {
      const broken = ["", "", "", "1", "no JSON"];
      await assert.rejects(evaluate(link, SET, ["1", "k", ...broken]), { code: "failed" });
      assert.deepEqual([await textOf(store, "k"), await etagOf(store, "k")], ['"kept"', "1"]);
      assert.equal(await plain.ttl("k"), 100);
      // A transaction tries its documents first, and cannot where a hash is in the way.
      const changes = ["upsert", "", "", "", "", "1", "upsert", ...broken];
      assert.deepEqual(await evaluate(link, TRANSACT, ["2", "l", "k", ...changes]), [VERDICT.partlyApplied, 2]);
      assert.equal(await textOf(store, "k"), '"kept"');
      await assert.rejects(evaluate(link, TRANSACT, ["2", "m", "n", ...changes]), { code: "failed" });
      assert.equal(await textOf(store, "m"), null);
    } finally {
      link.close("closed");
    }
  });
});
