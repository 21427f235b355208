import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { READ_BYTES_MAX } from "#sidecar/stores/sqlite/jobs.ts";
import type { Job, Order } from "#sidecar/stores/sqlite/messages.ts";
import { BULK_KEYS_MAX, type SqliteStore } from "#sidecar/stores/sqlite/sqlite-store.ts";
import type { Change } from "#sidecar/stores/store.ts";
import { CALL, Fixture, failure, READ, removal, textOf, watched, write } from "./fixture.ts";

const MISMATCH = { name: "StoreError", code: "etag-mismatch" };

function upsert(key: string, json: string, changes: Parameters<typeof write>[2] = {}): Change {
  return { kind: "upsert", write: write(key, json, changes) };
}

function remove(key: string, changes: Parameters<typeof removal>[1] = {}): Change {
  return { kind: "delete", removal: removal(key, changes) };
}

function keysOf(job: Job): (readonly string[])[] {
  return job.kind === "getMany" ? [job.keys] : [];
}

async function etagOf(store: SqliteStore, key: string): Promise<string> {
  const found = await store.get(key, READ, CALL);
  assert.ok(found?.etag);
  return found.etag;
}

// Both kinds of database: a file with two threads, and memory with one.
for (const connectionString of [undefined, ":memory:"]) {
  describe(`store of ${connectionString ?? "an SQLite file"}`, () => {
    let fixture: Fixture;
    let store: SqliteStore;
    beforeEach(async () => {
      fixture = new Fixture();
      store = await fixture.open(connectionString === undefined ? {} : { connectionString });
    });
    afterEach(() => fixture.close());

    it("gives each write another etag, and takes the current one only", async () => {
      await store.set(write("k", "1"), CALL);
      const first = await etagOf(store, "k");
      await store.set(write("k", "2", { etag: first }), CALL);
      assert.notEqual(await etagOf(store, "k"), first);
      await assert.rejects(store.set(write("k", "3", { etag: first }), CALL), MISMATCH);
      await assert.rejects(store.remove(removal("k", { etag: first }), CALL), MISMATCH);
      await assert.rejects(store.set(write("k", "3", { etag: "not ours" }), CALL), MISMATCH);
      assert.equal(await textOf(store, "k"), "2");
      await store.remove(removal("k", { etag: await etagOf(store, "k") }), CALL);
      assert.equal(await textOf(store, "k"), null);
    });

    it("takes an etag on a missing key as a mismatch, and deletes a missing key without one", async () => {
      await assert.rejects(store.set(write("k", "1", { etag: "e" }), CALL), MISMATCH);
      await assert.rejects(store.remove(removal("k", { etag: "e" }), CALL), MISMATCH);
      await store.remove(removal("k"), CALL);
      assert.equal(await textOf(store, "k"), null);
    });

    it("lets a first-write pass once, and ignores first-write on a delete", async () => {
      await store.set(write("k", "1", { firstWrite: true }), CALL);
      await assert.rejects(store.set(write("k", "2", { firstWrite: true }), CALL), MISMATCH);
      await store.set(write("k", "3", { firstWrite: true, etag: await etagOf(store, "k") }), CALL);
      await store.remove(removal("k", { firstWrite: true }), CALL);
      assert.equal(await textOf(store, "k"), null);
    });

    it("lets one of many first-writes at once pass", async () => {
      const attempts = Array.from({ length: 20 }, (_, i) => store.set(write("k", `${i}`, { firstWrite: true }), CALL));
      const outcomes = await Promise.allSettled(attempts);
      assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
    });

    it("keeps a value as long as asked, at most one second more, and not after", async () => {
      fixture.clock.timeMs += 999;
      await store.set(write("k", "1", { ttlSec: 2 }), CALL);
      const etag = await etagOf(store, "k");
      assert.equal((await store.get("k", READ, CALL))?.expiresAtMs, Date.UTC(2030, 0, 1, 0, 0, 3));
      fixture.clock.timeMs += 2000;
      assert.equal(await textOf(store, "k"), "1");
      fixture.clock.timeMs += 1;
      assert.equal(await textOf(store, "k"), null);
      assert.deepEqual(await store.getMany(["k"], READ, CALL), [null]);
      await assert.rejects(store.set(write("k", "2", { etag }), CALL), MISMATCH);
      await assert.rejects(store.remove(removal("k", { etag }), CALL), MISMATCH);
      await store.set(write("k", "3", { firstWrite: true }), CALL);
      assert.equal((await store.get("k", READ, CALL))?.expiresAtMs, null);
    });

    it("clears the expiry with a write that asks for none", async () => {
      await store.set(write("k", "1", { ttlSec: 1 }), CALL);
      await store.set(write("k", "2"), CALL);
      fixture.clock.timeMs += 10_000;
      assert.equal(await textOf(store, "k"), "2");
    });

    it("answers many keys in their order, missing and repeated ones too", async () => {
      const keys = Array.from({ length: 2000 }, (_, i) => `k${(i * 7) % 1500}`);
      await store.transact(
        Array.from({ length: 1000 }, (_, i) => upsert(`k${i}`, `${i}`)),
        CALL,
      );
      const found = await store.getMany(keys, READ, CALL);
      const texts = found.map((row) => (row !== null && "bytes" in row ? Buffer.from(row.bytes).toString() : row));
      assert.deepEqual(
        texts,
        keys.map((key) => (Number(key.slice(1)) < 1000 ? key.slice(1) : null)),
      );
      assert.deepEqual(await store.getMany([], READ, CALL), []);
    });

    it("applies a transaction in order, so that later changes see earlier ones", async () => {
      await store.set(write("k", "1"), CALL);
      await store.transact([upsert("k", "2"), remove("k"), upsert("k", "3"), upsert("l", "4"), remove("l")], CALL);
      assert.equal(await textOf(store, "k"), "3");
      assert.equal(await textOf(store, "l"), null);
    });

    it("compares all conditions of a transaction with the state before its first change", async () => {
      await store.set(write("k", "1"), CALL);
      const etag = await etagOf(store, "k");
      await store.transact([upsert("k", "2"), upsert("k", "3", { etag }), remove("k", { etag })], CALL);
      assert.equal(await textOf(store, "k"), null);
      await store.transact([upsert("k", "4"), upsert("k", "5", { firstWrite: true })], CALL);
      assert.equal(await textOf(store, "k"), "5");
    });

    it("says which change of a transaction is a conflict, and nothing of the kind of a single write", async () => {
      await store.set(write("k", "1"), CALL);
      const conflicts: [Change, string][] = [
        [upsert("k", "2", { etag: "other" }), "the value has another etag than the one passed"],
        [upsert("new", "2", { etag: "other" }), "there is no value under the key, or it has expired"],
        [upsert("k", "2", { firstWrite: true }), "item already exists and no etag was passed"],
      ];
      for (const [change, message] of conflicts) {
        const transaction = store.transact([upsert("a", "1"), change, remove("b")], CALL);
        await assert.rejects(transaction, { ...MISMATCH, message: `change 2 of 3: ${message}` });
      }
      const alone = store.set(write("k", "2", { firstWrite: true }), CALL);
      await assert.rejects(alone, { ...MISMATCH, message: "item already exists and no etag was passed" });
    });

    it("applies nothing of a transaction when one condition does not hold", async () => {
      await store.set(write("k", "1"), CALL);
      const changes = [upsert("k", "2"), remove("k"), upsert("new", "3"), upsert("k", "4", { etag: "other" })];
      await assert.rejects(store.transact(changes, CALL), MISMATCH);
      assert.equal(await textOf(store, "k"), "1");
      assert.equal(await textOf(store, "new"), null);
    });

    it("answers a ping, and rejects everything after close", async () => {
      await store.ping(CALL);
      await Promise.all([store.close(), store.close()]);
      await store.close();
      const closed = failure("closed", /the store was closed/);
      await assert.rejects(store.get("k", READ, CALL), closed);
      await assert.rejects(store.set(write("k", "1"), CALL), closed);
      await assert.rejects(store.ping(CALL), closed);
    });

    it("finishes or rejects what is under way when it closes, and stores just what it acknowledged", async () => {
      const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
      const writes = Promise.allSettled(keys.map((key) => store.set(write(key, "1"), CALL)));
      const reads = Promise.allSettled(keys.map((key) => store.get(key, READ, CALL)));
      await new Promise(setImmediate);
      await store.close();
      const outcomes = await writes;
      await reads;
      const refused = outcomes.filter((outcome) => outcome.status === "rejected");
      for (const { reason } of refused) assert.equal(reason.code, "closed");
      assert.ok(refused.length > 0, "some were still waiting");
      assert.ok(refused.length < keys.length, "some were with the thread");
      if (connectionString === undefined)
        assert.equal(fixture.rows("SELECT key FROM state").length, keys.length - refused.length);
    });
  });
}

describe("bulk read", () => {
  let fixture: Fixture;
  const orders: Order[] = [];
  let store: SqliteStore;
  beforeEach(async () => {
    fixture = new Fixture();
    store = await fixture.open({}, watched(orders));
    orders.length = 0;
  });
  afterEach(() => fixture.close());

  /** The keys of each job of a bulk read that went to a thread. */
  const keysOfJobs = (): (readonly string[])[] =>
    orders.flatMap((order) => (order.kind === "batch" ? order.jobs : [])).flatMap((job) => keysOf(job));

  it("asks for a key that occurs twice once, and answers it twice", async () => {
    await store.set(write("k", "1"), CALL);
    const found = await store.getMany(["k", "none", "k", "none"], READ, CALL);
    assert.deepEqual(keysOfJobs(), [["k", "none"]]);
    assert.deepEqual(
      found.map((row) => (row !== null && "bytes" in row ? Buffer.from(row.bytes).toString() : row)),
      ["1", null, "1", null],
    );
  });

  it("goes to the thread in steps, so that other reads come between", async () => {
    const keys = Array.from({ length: BULK_KEYS_MAX * 3 + 1 }, (_, i) => `k${i}`);
    let answered = false;
    const bulk = store.getMany(keys, READ, CALL).finally(() => {
      answered = true;
    });
    await new Promise(setImmediate);
    assert.equal(await textOf(store, "k"), null);
    assert.equal(answered, false);
    assert.deepEqual(await bulk, new Array(keys.length).fill(null));
    assert.deepEqual(
      keysOfJobs().map((each) => each.length),
      [BULK_KEYS_MAX, BULK_KEYS_MAX, BULK_KEYS_MAX, 1],
    );
  });

  it("holds no more large values at a time in the thread than it may", async () => {
    const large = JSON.stringify("x".repeat(READ_BYTES_MAX));
    for (const key of ["a", "b"]) await store.set(write(key, large), CALL);
    const found = await store.getMany(["a", "none", "b"], READ, CALL);
    assert.deepEqual(
      found.map((row) => (row !== null && "bytes" in row ? row.bytes.byteLength : row)),
      [large.length, null, large.length],
    );
    assert.deepEqual(keysOfJobs(), [
      ["a", "none", "b"],
      ["none", "b"],
    ]);
  });
});

describe("group commit", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  it("takes the writes of one turn of the event loop into one transaction", async () => {
    const orders: Order[] = [];
    const store = await fixture.open({}, watched(orders));
    const first = store.set(write("a", "1"), CALL);
    await Promise.resolve();
    await Promise.all([first, store.set(write("b", "1"), CALL)]);
    assert.equal(orders.length, 1);
  });

  it("keeps the neighbours of failing writes", async () => {
    const orders: Order[] = [];
    const store = await fixture.open({}, watched(orders));
    const outcomes = await Promise.allSettled([
      store.set(write("a", "1"), CALL),
      store.set(write("b", "1", { etag: "none" }), CALL),
      store.transact([upsert("c", "1"), upsert("d", "1", { etag: "none" })], CALL),
      store.transact([upsert("e", "1"), upsert("f", "1")], CALL),
      store.set(write("g", "1"), CALL),
    ]);
    assert.deepEqual(
      orders.map((order) => (order.kind === "batch" ? order.jobs.length : order.kind)),
      [5],
    );
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ["fulfilled", "rejected", "rejected", "fulfilled", "fulfilled"],
    );
    assert.equal(
      fixture.rows("SELECT group_concat(key) AS keys FROM (SELECT key FROM state ORDER BY key)")[0]?.keys,
      "a,e,f,g",
    );
  });

  it("undoes the half of a transaction that came before an error of SQLite, and nothing else", async () => {
    const store = await fixture.open();
    fixture.plain().exec(`CREATE TRIGGER guard BEFORE INSERT ON state WHEN new.key = 'bad'
      BEGIN SELECT RAISE(ABORT, 'the guard says no'); END`);
    const outcomes = await Promise.allSettled([
      store.set(write("a", "1"), CALL),
      store.transact([upsert("half", "1"), upsert("bad", "1")], CALL),
      store.set(write("bad", "1"), CALL),
      store.set(write("b", "1"), CALL),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === "fulfilled" ? "stored" : outcome.reason.code)),
      ["stored", "failed", "failed", "stored"],
    );
    assert.deepEqual(fixture.rows("SELECT key FROM state ORDER BY key"), [{ key: "a" }, { key: "b" }]);
  });

  it("moves the write-ahead log into the file when the store closes", async () => {
    const store = await fixture.open();
    await store.set(write("k", "1"), CALL);
    assert.ok(existsSync(`${fixture.path}-wal`));
    // Threads that end at the same moment leave the log behind now and then; one after the other they do not.
    const ended: string[] = [];
    for (const [index, thread] of fixture.threads.entries())
      thread.once("exit", () => ended.push(index === 0 ? "writes" : "reads"));
    await store.close();
    assert.deepEqual(ended, ["reads", "writes"]);
    assert.ok(!existsSync(`${fixture.path}-wal`));
  });

  it("lets two stores on one file count together without a loss", async () => {
    const stores = [await fixture.open(), await fixture.open()];
    await stores[0]?.set(write("count", "0"), CALL);
    const increment = async (store: SqliteStore): Promise<void> => {
      const found = await store.get("count", READ, CALL);
      assert.ok(found !== null);
      const next = Number(Buffer.from(found.bytes).toString()) + 1;
      await store.set(write("count", `${next}`, { etag: found.etag }), CALL).catch((error) => {
        if (error.code !== "etag-mismatch") throw error;
        return increment(store);
      });
    };
    const count = async (store: SqliteStore): Promise<void> => {
      for (let i = 0; i < 50; i++) await increment(store);
    };
    await Promise.all(stores.map(count));
    assert.deepEqual(fixture.rows("SELECT value FROM state"), [{ value: "100" }]);
  });
});
