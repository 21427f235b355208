// Transactions of state.azure.tablestorage: what one batch of the service's can say, and what is refused before.
import assert from "node:assert/strict";
import { stepsOf } from "#sidecar/stores/tablestorage/transaction.ts";
import { describeWithAzurite } from "#test/servers/azurite.ts";
import { call, deletion, onOneAzurite, read, textOf, upsert, write } from "../azure/fixture.ts";

const noCheck = (): void => undefined;

describe("the steps of a transaction", () => {
  it("are one for each key: its condition, and what stands at the end", () => {
    const changes = [upsert("a", "1", { etag: "e" }), upsert("b", "2"), deletion("a"), upsert("b", "3")];
    const steps = stepsOf(changes, false, noCheck);
    assert.deepEqual(
      steps.map(({ key, etag, absent, write, place }) => [key, etag, absent, String(write?.bytes ?? null), place]),
      [
        ["a", "e", false, "null", "change 1 of 4: "],
        ["b", null, false, "3", "change 4 of 4: "],
      ],
    );
  });

  it("are none where no state can meet the conditions", () => {
    const first = { firstWrite: true };
    for (const changes of [
      [upsert("a", "1", { etag: "e" }), upsert("a", "2", { etag: "f" })],
      [upsert("a", "1", first), upsert("a", "2", { etag: "f" })],
      [upsert("a", "1", { etag: "f" }), upsert("a", "2", first)],
    ])
      assert.throws(() => stepsOf(changes, false, noCheck), { code: "etag-mismatch", message: /^change 2 of 2: / });
  });
});

describeWithAzurite("a transaction of state.azure.tablestorage", () => {
  const bench = onOneAzurite();

  it("changes values and the state of actors of one app together", async () => {
    const store = await bench.open("tables");
    await store.transact?.([upsert("app||a", "1"), upsert("app||cat||leroy||food", "2")], call);
    assert.deepEqual([await textOf(store, "app||a"), await textOf(store, "app||cat||leroy||food")], ["1", "2"]);
  });

  it("is refused where keys lie in different partitions, before anything is written", async () => {
    const store = await bench.open("tables");
    const transact = store.transact?.([upsert("one", "1"), upsert("other", "2")], call);
    await assert.rejects(transact ?? Promise.resolve(), { code: "refused", message: /different partitions/ });
    assert.equal(await textOf(store, "one"), null);
  });

  it("says which change met another value, and applies none", async () => {
    const store = await bench.open("tables");
    await store.set(write("app||b", "old"), call);
    const stale = (await store.get("app||b", read, call))?.etag ?? null;
    await store.set(write("app||b", "new"), call);
    const changes = [upsert("app||c", "1"), upsert("app||d", "1"), upsert("app||b", "2", { etag: stale })];
    await assert.rejects(store.transact?.(changes, call) ?? Promise.resolve(), {
      code: "etag-mismatch",
      message: "change 3 of 3: the value has another etag than the one passed",
    });
    assert.equal(await textOf(store, "app||c"), null);
  });

  it("says which change has an ETag that the service never made", async () => {
    const store = await bench.open("tables");
    const changes = [upsert("app||e", "1"), deletion("app||f", { etag: "77777" })];
    await assert.rejects(store.transact?.(changes, call) ?? Promise.resolve(), {
      code: "etag-mismatch",
      message: "change 2 of 2: the value has another etag than the one passed",
    });
    assert.equal(await textOf(store, "app||e"), null);
  });

  it("deletes what is there and passes over what is not", async () => {
    const store = await bench.open("tables");
    await store.set(write("app||e", "1"), call);
    await store.transact?.([deletion("app||e"), deletion("app||never"), upsert("app||f", "1")], call);
    assert.deepEqual([await textOf(store, "app||e"), await textOf(store, "app||f")], [null, "1"]);
  });

  it("that creates a key and deletes it is refused where the key is, and does nothing where it is not", async () => {
    const store = await bench.open("tables");
    const changes = [upsert("app||i", "1", { firstWrite: true }), upsert("app||j", "1"), deletion("app||i")];
    await store.transact?.(changes, call);
    assert.deepEqual([await textOf(store, "app||i"), await textOf(store, "app||j")], [null, "1"]);
    await store.set(write("app||i", "there"), call);
    await assert.rejects(store.transact?.(changes, call) ?? Promise.resolve(), {
      code: "etag-mismatch",
      message: "change 1 of 3: item already exists and no etag was passed",
    });
    assert.equal(await textOf(store, "app||i"), "there");
  });

  it("holds when others delete the same values meanwhile", async () => {
    const store = await bench.open("tables");
    for (let turn = 0; turn < 10; turn++) {
      await store.transact?.([upsert("app||g", "1"), upsert("app||h", "1")], call);
      const both = Array.from({ length: 4 }, () => store.transact?.([deletion("app||g"), deletion("app||h")], call));
      await Promise.all(both);
      assert.equal(await textOf(store, "app||g"), null);
    }
  });

  it("is refused when it is larger than the service takes", async () => {
    const store = await bench.open("tables");
    const large = "\\".repeat(32 * 1024);
    const changes = Array.from({ length: 100 }, (_, index) => upsert(`app||large-${index}`, large));
    await assert.rejects(store.transact?.(changes, call) ?? Promise.resolve(), { code: "refused", message: /bytes/ });
    assert.equal(await textOf(store, "app||large-0"), null);
  });
});
