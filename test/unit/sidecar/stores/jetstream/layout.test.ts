// The entries of the bucket, both ways: what this driver writes, read with NATS' own key-value client, and the other way
// round.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithNats, type NatsServer, openBucket, startNats, type TestBucket } from "#test/servers/nats.ts";
import { call, etagOf, openStore, read, removal, textOf, write } from "./fixture.ts";

for (const direct of [true, false]) {
  describeWithNats(`the layout in a bucket ${direct ? "with" : "without"} reads from any replica`, () => {
    let server: NatsServer;
    let bucket: TestBucket;
    let store: Store;
    before(async () => {
      server = await startNats();
      bucket = await openBucket(server.url, "state", { history: 5, allow_direct: direct });
      store = await openStore({ natsURL: server.url });
    });
    after(async () => {
      await store.close();
      await bucket.close();
      await server.stop();
    });

    it("is the value's bytes under the name of the key, and nothing else", async () => {
      await store.set(write("app||k", '{"b":1, "a":2}'), call);
      const entry = await bucket.kv.get("app.k");
      assert.deepEqual([entry?.string(), entry?.operation, entry?.length], ['{"b":1, "a":2}', "PUT", 14]);
      assert.equal(await etagOf(store, "app||k"), String(entry?.revision));
    });

    it("is read as Dapr's client writes it, and updated", async () => {
      const revision = await bucket.kv.put("app.theirs", '"hi"');
      for (const strong of [true, false]) {
        const found = await store.get("app||theirs", { ...read, strong }, call);
        assert.deepEqual([Buffer.from(found?.bytes ?? []).toString(), found?.etag], ['"hi"', String(revision)]);
      }
      await store.set(write("app||theirs", '"ho"', { etag: String(revision) }), call);
      assert.equal((await bucket.kv.get("app.theirs"))?.string(), '"ho"');
    });

    it("sees what others delete or purge, and makes it again with first-write", async () => {
      for (const end of ["delete", "purge"] as const) {
        await store.set(write(`app||${end}`, "1"), call);
        const etag = await etagOf(store, `app||${end}`);
        await bucket.kv[end](`app.${end}`);
        for (const strong of [true, false])
          assert.equal(await store.get(`app||${end}`, { ...read, strong }, call), null);
        await assert.rejects(store.set(write(`app||${end}`, "2", { etag }), call), { code: "etag-mismatch" });
        await store.set(write(`app||${end}`, "3", { firstWrite: true }), call);
        assert.equal((await bucket.kv.get(`app.${end}`))?.string(), "3");
      }
    });

    it("has a mark where a value was deleted, and none where there was none", async () => {
      await store.set(write("app||gone", "1"), call);
      await store.remove(removal("app||gone"), call);
      const { revision, operation } = (await bucket.kv.get("app.gone")) ?? {};
      assert.equal(operation, "DEL");
      await store.remove(removal("app||gone"), call);
      await store.remove(removal("app||never"), call);
      assert.equal((await bucket.kv.get("app.gone"))?.revision, revision);
      assert.equal(await bucket.kv.get("app.never"), null);
    });

    it("keeps empty values, and values of the largest size", async () => {
      await store.set(write("app||empty", "", { isJson: false }), call);
      const most = "v".repeat(store.limits.valueBytesMax ?? 0);
      await store.set(write("app||most", most), call);
      await store.set(write("app||most", most, { etag: await etagOf(store, "app||most") }), call);
      // Dapr has no headers to make room for.
      await bucket.kv.put("app.larger", "v".repeat(1024 * 1024));
      for (const strong of [true, false]) {
        const lengths = ["app||empty", "app||most", "app||larger"].map(
          async (key) => (await store.get(key, { ...read, strong }, call))?.bytes.length,
        );
        assert.deepEqual(await Promise.all(lengths), [0, most.length, 1024 * 1024]);
      }
    });

    it("has room for the longest key", async () => {
      for (const key of [`a||${"k".repeat(2045)}`, `a||${" ".repeat(716)}`]) {
        await store.set(write(key, key), call);
        await store.set(write(key, key, { etag: await etagOf(store, key) }), call);
        assert.equal(await textOf(store, key), key);
      }
    });

    it("refuses a key that is too long alone among many", async () => {
      await store.set(write("app||many", "1"), call);
      const rows = (await store.getMany?.(["app||many", "k".repeat(2049), "app||nothing"], read, call)) ?? [];
      assert.ok(rows[0] !== null && rows[0] !== undefined && "bytes" in rows[0]);
      assert.ok(rows[1] instanceof Error && rows[2] === null);
    });

    it("lets keys share a name only where the Component says so", async () => {
      await bucket.kv.put("ns.app.k", "1");
      await assert.rejects(textOf(store, "ns.app||k"), { code: "refused" });
      const dotted = await openStore({ natsURL: server.url, dotsAsSeparators: "true" });
      assert.deepEqual([await textOf(dotted, "ns.app||k"), await textOf(dotted, "ns||app.k")], ["1", "1"]);
      await dotted.close();
    });
  });
}
