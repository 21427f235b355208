// Documents as Dapr 1.18 lays them out: written by hand with Microsoft's own client and read here, and what is written
// here, as that client sees it (dapr-state-stores.md 9b).
import assert from "node:assert/strict";
import { type Store, StoreError, type Write } from "#sidecar/stores/store.ts";
import { type CosmosServer, describeWithCosmosdb, startCosmosdb } from "#test/servers/cosmosdb.ts";
import { call, deletion, openStore, read, removal, textOf, upsert, write } from "./fixture.ts";

describeWithCosmosdb("documents in Cosmos DB", () => {
  let server: CosmosServer;
  let store: Store;

  before(async () => {
    server = await startCosmosdb();
    store = await openStore(server.fields);
  });
  after(async () => {
    await store.close();
    await server.stop();
  });

  /** A document without what the server adds. */
  async function raw(id: string, partition = id): Promise<unknown> {
    const { resource } = await server.container.item(id, partition).read();
    const own = Object.entries(resource ?? {}).filter(([name]) => !name.startsWith("_"));
    return resource === undefined ? null : Object.fromEntries(own);
  }

  async function put(id: string, value: unknown, more: object = {}): Promise<string> {
    const document = { id, value, isBinary: false, partitionKey: id, ...more };
    const { resource } = await server.container.items.upsert(document);
    return String(resource?._etag);
  }

  for (const [what, written, value, isBinary] of [
    ["an object", write("w", '{"b":1,"a":["é"]}'), { b: 1, a: ["é"] }, false],
    ["a string", write("w", '"hello"'), "hello", false],
    ["a number", write("w", "12.5"), 12.5, false],
    ["null", write("w", "null"), null, false],
    ["raw bytes that are an object", write("w", '{"b":1,"a":2}', { isJson: false }), { b: 1, a: 2 }, false],
    [
      "raw bytes that are an object in a spelling of its own",
      write("w", '{ "b":1}', { isJson: false }),
      "eyAiYiI6MX0=",
      true,
    ],
    ["raw bytes that are another JSON", write("w", "[1]", { isJson: false }), "WzFd", true],
    ["raw bytes that are no text", write("w", "", { isJson: false, bytes: Uint8Array.of(0xff, 0) }), "/wA=", true],
    ["no bytes", write("w", "", { isJson: false }), "", true],
  ] as const satisfies readonly (readonly [string, Write, unknown, boolean])[])
    it(`hold ${what} as Dapr's do`, async () => {
      await store.set(written, call);
      assert.deepEqual(await raw("w"), { id: "w", value, isBinary, partitionKey: "w" });
      const found = await store.get("w", read, call);
      assert.deepEqual(Buffer.from(found?.bytes ?? []), Buffer.from(written.bytes));
    });

  it("hold raw bytes as base64 where the Component says that they are no JSON", async () => {
    const text = await openStore({ ...server.fields, contentType: "application/octet-stream" });
    try {
      await text.set(write("octets", '{"a":1}', { isJson: false }), call);
      assert.deepEqual(await raw("octets"), {
        id: "octets",
        value: "eyJhIjoxfQ==",
        isBinary: true,
        partitionKey: "octets",
      });
    } finally {
      await text.close();
    }
  });

  it("have the partition that the metadata names, and the TTL", async () => {
    const metadata = { partitionKey: "app||Account||alice" };
    await store.set(write("app||Account||alice||balance", "7", { metadata, ttlSec: 60 }), call);
    assert.deepEqual(await raw("app||Account||alice||balance", metadata.partitionKey), {
      id: "app||Account||alice||balance",
      value: 7,
      isBinary: false,
      partitionKey: metadata.partitionKey,
      ttl: 60,
    });
    assert.equal(await textOf(store, "app||Account||alice||balance"), null);
    assert.equal(await textOf(store, "app||Account||alice||balance", { ...read, metadata }), "7");
  });

  it("of Dapr are read, whatever kind of value they hold", async () => {
    for (const [value, isBinary, text] of [
      [{ id: 1223, name: "test" }, false, '{"id":1223,"name":"test"}'],
      ["", false, '""'],
      ["plain", false, '"plain"'],
      [null, false, "null"],
      ["AQ==", true, "\u0001"],
      ["", true, ""],
      [null, true, ""],
    ] as const) {
      await put("dapr", value, { isBinary });
      assert.equal(await textOf(store, "dapr"), text);
    }
  });

  it("of Dapr tell when they expire, and those that never do say nothing", async () => {
    const expiresAtMs = async (more: object): Promise<number | null> => {
      await put("expiry", 1, more);
      return (await store.get("expiry", read, call))?.expiresAtMs ?? null;
    };
    const { resource } = await server.container.items.upsert({ id: "now", partitionKey: "now" });
    const told = (await expiresAtMs({ ttl: 100 })) ?? 0;
    assert.ok(Math.abs(told / 1000 - 100 - Number(resource?._ts)) <= 1, String(told));
    assert.equal(await expiresAtMs({ ttl: -1 }), null);
    assert.equal(await expiresAtMs({}), null);
  });

  it("of Dapr are updated under their ETag, and other members of theirs go", async () => {
    const etag = await put("update", { n: 1 }, { ttl: 50, other: true });
    await store.set(write("update", '{"n":2}', { etag }), call);
    assert.deepEqual(await raw("update"), { id: "update", value: { n: 2 }, isBinary: false, partitionKey: "update" });
    await assert.rejects(store.set(write("update", "3", { etag }), call), { code: "etag-mismatch" });
    await assert.rejects(store.remove(removal("update", { etag }), call), { code: "etag-mismatch" });
  });

  it("that say base64 and hold none are read as the text that they hold, as Dapr reads them", async () => {
    await put("text", "no base64!", { isBinary: true });
    await put("unpadded", "YQ", { isBinary: true });
    await put("null", null, { isBinary: true });
    assert.deepEqual(
      [await textOf(store, "text"), await textOf(store, "unpadded"), await textOf(store, "null")],
      ["no base64!", "YQ", ""],
    );
  });

  it("in another layout are errors that say so, one by one", async () => {
    const bad = { code: "corrupt", message: /not in the layout of state\.azure\.cosmosdb/ };
    await server.container.items.upsert({ id: "bad-1", partitionKey: "bad-1", name: "somebody's" });
    await put("bad-2", { a: 1 }, { isBinary: true });
    for (const key of ["bad-1", "bad-2"]) await assert.rejects(store.get(key, read, call), bad);
    await put("good", 1);
    const [first, second, third] = (await store.getMany?.(["bad-2", "good", "bad-1"], read, call)) ?? [];
    assert.ok(first instanceof Error && "code" in first && first.code === "corrupt");
    assert.ok(second !== null && second !== undefined && !(second instanceof Error));
    assert.ok(third instanceof Error && "code" in third && third.code === "corrupt");
  });

  it("have ids for keys that no id can hold, and each key is its own", async () => {
    const keys = ["a/b", "a\\b", "a﹪2Fb", "a﹪b", "a\nb", ".", "..", "...", "a.b"];
    for (const key of keys) await store.set(write(key, JSON.stringify(key)), call);
    for (const key of keys) assert.equal(await textOf(store, key), JSON.stringify(key));
    const ids = ["a﹪2Fb", "a﹪5Cb", "a﹪﹪2Fb", "a﹪﹪b", "a﹪0Ab", "﹪2E", "﹪2E﹪2E", "...", "a.b"];
    for (const [index, id] of ids.entries()) {
      const document = await raw(id, keys[index]);
      assert.ok(document !== null && typeof document === "object" && "value" in document);
      assert.equal(document.value, keys[index]);
    }
    const range = { scope: "", start: "a" };
    const { rows = [] } = (await store.list?.({ range, after: null, limit: 100, values: false }, call)) ?? {};
    const told = rows.map(({ key }) => key).filter((key) => keys.includes(key));
    assert.deepEqual(told.sort(), keys.filter((key) => key.startsWith("a")).sort());
    assert.equal(await store.removeRange?.({ scope: "", start: "a/" }, 10, call), 1);
    assert.equal(await textOf(store, "a/b"), null);
    assert.equal(await textOf(store, "a\\b"), '"a\\\\b"');
  });

  it("of an id that no key has are in no list", async () => {
    await put("odd﹪b", 1);
    await put("odd-1", 1);
    await server.container.items.upsert({ id: "odd-2", partitionKey: "odd-2" });
    const page = await store.list?.({ range: { scope: "", start: "odd" }, after: null, limit: 9, values: true }, call);
    assert.deepEqual(
      page?.rows.map(({ key }) => key),
      ["odd-1"],
    );
    assert.equal(await store.removeRange?.({ scope: "", start: "odd" }, 9, call), 1);
    assert.notEqual(await raw("odd-2"), null);
  });

  it("are removed by their beginning in whatever partition they lie", async () => {
    for (const partition of ["p", "q", "own||1"])
      await store.set(write("own||1", "1", { metadata: { partitionKey: partition } }), call);
    await store.set(write("own||2||3", "1"), call);
    assert.equal(await store.removeRange?.({ scope: "own||", start: "own||" }, 2, call), 2);
    assert.equal(await store.removeRange?.({ scope: "own||", start: "own||" }, 2, call), 1);
    assert.equal(await textOf(store, "own||2||3"), "1");
  });

  it("are not written for a key that has half a surrogate pair, or becomes too long", async () => {
    for (const key of ["a\ud800", "/".repeat(500)]) {
      for (const work of [
        () => store.set(write(key, "1"), call),
        () => store.get(key, read, call),
        () => store.remove(removal(key), call),
        async () => store.transact?.([upsert(key, "1")], call),
        async () => store.transact?.([deletion(key)], call),
        async () => store.transact?.([upsert("in", "1"), deletion("in", { metadata: { partitionKey: key } })], call),
      ])
        await assert.rejects(work(), { code: "refused" });
      await store.set(write("other", "1"), call);
      for (const keys of [[key], [key, "other"], ["other", key, "none"]]) {
        const items = (await store.getMany?.(keys, read, call)) ?? [];
        const told = items.map((item) => (item instanceof StoreError ? item.code : item === null ? "none" : "found"));
        assert.deepEqual(
          told,
          keys.map((each) => (each === key ? "refused" : each === "other" ? "found" : "none")),
        );
      }
    }
  });

  it("are not written into a partition whose name has half a surrogate pair, which others would share", async () => {
    const metadata = { partitionKey: "p\ud800" };
    const refused = { code: "refused", message: /partitionKey holds half a surrogate pair/ };
    await assert.rejects(store.set(write("a", "1", { metadata }), call), refused);
    await assert.rejects(store.get("a", { strong: false, metadata }, call), refused);
    const items = (await store.getMany?.(["a", "b"], { strong: false, metadata }, call)) ?? [];
    assert.ok(items.length === 2 && items.every((item) => item instanceof StoreError && item.code === "refused"));
  });

  it("of keys that are dots alone are in the walks of their beginnings", async () => {
    for (const key of [".", "..", "..."]) await store.set(write(key, "1"), call);
    const told = async (start: string): Promise<readonly string[]> => {
      const page = await store.list?.({ range: { scope: "", start }, after: null, limit: 9, values: false }, call);
      return (page?.rows ?? []).map(({ key }) => key).sort();
    };
    assert.deepEqual(
      [await told("."), await told(".."), await told("...")],
      [[".", "..", "..."], ["..", "..."], ["..."]],
    );
    assert.equal(await store.removeRange?.({ scope: "", start: ".." }, 9, call), 2);
    assert.deepEqual(await told("."), ["."]);
  });

  it("are not written for values that do not fit or would change", async () => {
    const large = "x".repeat(1_600_000);
    for (const [refused, message] of [
      [write("no", large, { isJson: false }), /does not fit into a document/],
      [write("no", `"${large}${large}"`), /a document takes 2080768/],
      [write("no", "1e400"), /holds a number that is no double, which Cosmos DB does not keep; lossyValues/],
      [write("no", "", { bytes: Uint8Array.of(0x22, 0xff, 0x22) }), /holds what is no UTF-8/],
    ] as const)
      await assert.rejects(store.set(refused, call), { code: "refused", message });
    assert.equal(await raw("no"), null);
  });

  it("hold rounded numbers where the Component takes them", async () => {
    const lossy = await openStore({ ...server.fields, lossyValues: "true" });
    try {
      await lossy.set(write("lossy", '{"big":9007199254740993,"zero":-0}'), call);
      assert.equal(await textOf(lossy, "lossy"), '{"big":9007199254740992,"zero":0}');
      await assert.rejects(lossy.set(write("lossy", "1e400"), call), { code: "refused" });
    } finally {
      await lossy.close();
    }
  });
});
