// Transactions: one script that checks every condition before it writes.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { Change, Store } from "#sidecar/stores/store.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { call, deletion, etagOf, onOneServer, textOf, upsert, write } from "./fixture.ts";

describeWithRedis("a transaction on Redis", () => {
  let store: Store;
  let plain: Redis;
  onOneServer((opened) => {
    ({ store, plain } = opened);
  });

  async function transact(...changes: Change[]): Promise<void> {
    assert.ok(store.transact !== undefined);
    await store.transact(changes, call);
  }

  it("applies all changes", async () => {
    await store.set(write("gone", "1"), call);
    await transact(upsert("a", "1", { ttlSec: 100 }), upsert("b", "2"), deletion("gone"));
    assert.deepEqual(
      [await textOf(store, "a"), await textOf(store, "b"), await textOf(store, "gone")],
      ["1", "2", null],
    );
    assert.equal(await plain.ttl("a"), 100);
    assert.equal(await plain.ttl("b"), -1);
  });

  it("applies changes of one key in order", async () => {
    await transact(upsert("k", "1"), upsert("k", "2"));
    assert.deepEqual([await textOf(store, "k"), await etagOf(store, "k")], ["2", "2"]);
    await transact(deletion("k"), upsert("k", "3"));
    assert.deepEqual([await textOf(store, "k"), await etagOf(store, "k")], ["3", "1"]);
    await transact(upsert("k", "4"), deletion("k"));
    assert.equal(await textOf(store, "k"), null);
  });

  it("writes nothing when the last condition fails, and names the change by its number", async () => {
    await store.set(write("k", "1"), call);
    const failing: [Change, RegExp][] = [
      [upsert("k", "2", { etag: "7" }), /^change 3 of 3: .*another etag/],
      [deletion("k", { etag: "7" }), /^change 3 of 3: .*another etag/],
      [upsert("k", "2", { firstWrite: true }), /^change 3 of 3: .*already exists/],
      [upsert("none", "2", { etag: "1" }), /^change 3 of 3: there is no value/],
    ];
    for (const [change, message] of failing) {
      await assert.rejects(transact(upsert("a", "1"), deletion("k"), change), { code: "etag-mismatch", message });
      assert.deepEqual([await textOf(store, "a"), await textOf(store, "k")], [null, "1"]);
    }
  });

  it("compares every ETag with the state before the first change", async () => {
    await store.set(write("k", "1"), call);
    await transact(upsert("k", "2", { etag: "1" }), upsert("k", "3", { etag: "1" }));
    assert.equal(await etagOf(store, "k"), "3");
    await assert.rejects(transact(upsert("k", "4", { etag: "3" }), upsert("k", "5", { etag: "4" })), {
      code: "etag-mismatch",
    });
    assert.equal(await textOf(store, "k"), "3");
  });

  it("refuses an invalid ETag before anything is sent", async () => {
    await assert.rejects(transact(upsert("a", "1"), deletion("b", { etag: "x" })), {
      code: "etag-invalid",
      message: /^change 2 of 2: /,
    });
    assert.equal(await plain.exists("a"), 0);
  });

  it("replaces a plain string, also one that stands between two changes", async () => {
    await plain.set("k", "old");
    await transact(upsert("k", "1"), upsert("k", "2"));
    assert.deepEqual([await textOf(store, "k"), await etagOf(store, "k")], ["2", "2"]);
  });

  it("holds as many changes as its limit says, and no more", async () => {
    const most = store.limits.operationsMax ?? 0;
    assert.equal(most, 10_000);
    const changes = Array.from({ length: most }, (_, index) => upsert(`k${index}`, String(index)));
    await transact(...changes.slice(0, -1), upsert("k0", "last", { ttlSec: 100 }));
    assert.equal(await plain.dbsize(), most - 1);
    assert.equal(await textOf(store, "k0"), "last");
    await assert.rejects(transact(...changes.slice(0, -1), upsert("k1", "x", { etag: "9" })), {
      message: new RegExp(`^change ${most} of ${most}: `),
    });
    await assert.rejects(transact(...changes, upsert("more", "1")), { code: "refused" });
    assert.equal(await plain.exists("more"), 0);
  });

  it("is never seen half done", async () => {
    await transact(upsert("left", "0"), upsert("right", "0"));
    let done = false;
    const writing = (async () => {
      for (let round = 1; round <= 300; round++)
        await transact(upsert("left", `${round}`), upsert("right", `${round}`));
      done = true;
    })();
    while (!done) {
      const [left, right] = await plain.multi().hget("left", "data").hget("right", "data").exec().then(pick);
      assert.equal(left, right);
    }
    await writing;
  });

  function pick(replies: [Error | null, unknown][] | null): unknown[] {
    return (replies ?? []).map(([, value]) => value);
  }
});
