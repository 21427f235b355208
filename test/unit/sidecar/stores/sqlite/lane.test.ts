import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { QUEUED_JOBS_MAX } from "#sidecar/stores/sqlite/lane.ts";
import { startThread } from "#sidecar/stores/sqlite/thread.ts";
import { CALL, eventually, Fixture, failure, READ, textOf, write } from "./fixture.ts";

describe("database threads", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  it("are two for a file and one for a database in memory", async () => {
    await fixture.open();
    assert.equal(fixture.threads.length, 2);
    await fixture.open({ connectionString: ":memory:" });
    assert.equal(fixture.threads.length, 3);
  });

  it("are replaced when they die", async () => {
    const store = await fixture.open();
    await store.set(write("k", "1"), CALL);
    await Promise.all(fixture.threads.map((thread) => thread.terminate()));
    assert.equal(await textOf(store, "k"), "1");
    await store.set(write("k", "2"), CALL);
    assert.equal(await textOf(store, "k"), "2");
    assert.equal(fixture.threads.length, 4);
    assert.match(fixture.logged.join(""), /database thread ended/);
  });

  it("leave the outcome of a write open when they die during it", async () => {
    const store = await fixture.open({ busyTimeout: 300 });
    const release = await fixture.lockElsewhere();
    const lost = store.set(write("k", "1"), CALL);
    await new Promise(setImmediate);
    const waiting = store.set(write("l", "1"), CALL);
    // The thread sits inside SQLite until busyTimeout and dies when it comes back.
    const dying = fixture.threads[0]?.terminate();
    await assert.rejects(lost, failure("unknown-outcome", /the thread of .*state\.db ended.*may have happened/));
    await dying;
    await release();
    await waiting.catch(() => store.set(write("l", "1"), CALL));
    assert.deepEqual(fixture.rows("SELECT key FROM state"), [{ key: "l" }]);
  });

  it("that keep dying make calls fail at once, until one lives", async () => {
    let starts = 0;
    const store = await fixture.open({}, (settings) => {
      starts++;
      return starts === 3 ? new Worker("process.exit(1)", { eval: true }) : startThread(settings);
    });
    await fixture.threads[1]?.terminate();
    const down = failure("unavailable", /the thread of .*state\.db ended.*next attempt comes within/);
    await assert.rejects(async () => {
      for (;;) await store.get("k", READ, CALL);
    }, down);
    await assert.rejects(store.get("k", READ, CALL), down);
    assert.equal(await eventually(() => textOf(store, "k")), null);
    assert.equal(starts, 4);
    await store.set(write("k", "1"), CALL);
  });

  it("that cannot start fail the opening, and nothing stays behind", async () => {
    const broken = fixture.open({}, () => new Worker("throw new Error('no such luck')", { eval: true }));
    await assert.rejects(broken, failure("unavailable", /state\.db ended: no such luck/));
    assert.equal(fixture.threads.length, 1);
  });

  it("have a bounded queue, which empties again", async () => {
    const store = await fixture.open({ busyTimeout: 15_000, timeout: 15_000 });
    const release = await fixture.lockElsewhere();
    const begun = store.set(write("k", "1"), CALL);
    await new Promise(setImmediate);
    const waiting = Array.from({ length: QUEUED_JOBS_MAX }, (_, i) => store.set(write(`k${i}`, "1"), CALL));
    await assert.rejects(
      store.set(write("one more", "1"), CALL),
      failure("unavailable", /4096 requests .* wait already/),
    );
    await release();
    await Promise.all([begun, ...waiting]);
    await store.set(write("one more", "1"), CALL);
    assert.equal(fixture.rows("SELECT key FROM state").length, QUEUED_JOBS_MAX + 2);
  });

  it("have a queue that is bounded in bytes of keys too, also of keys to read", async () => {
    const store = await fixture.open({ connectionString: ":memory:" });
    const begun = store.set(write("k", "1"), CALL);
    const key = "k".repeat(16 * 1024 * 1024);
    const waiting = [store.getMany([key, "k"], READ, CALL), store.get(key, READ, CALL)];
    await assert.rejects(store.get("k", READ, CALL), failure("unavailable", /33554435 bytes wait already/));
    await begun;
    assert.deepEqual((await Promise.all(waiting)).flat().map(isFound), [false, true, false]);
  });

  it("have a queue that is bounded in bytes", async () => {
    const store = await fixture.open({ busyTimeout: 15_000, timeout: 15_000 });
    const release = await fixture.lockElsewhere();
    const begun = store.set(write("k", "1"), CALL);
    await new Promise(setImmediate);
    const bytes = Buffer.alloc(16 * 1024 * 1024, 0x20);
    const waiting = Array.from({ length: 2 }, (_, i) => store.set(write(`k${i}`, "", { bytes }), CALL));
    await assert.rejects(store.set(write("l", "1"), CALL), failure("unavailable", /33554436 bytes wait already/));
    await release();
    await Promise.all([begun, ...waiting]);
    assert.equal((await store.get("k1", READ, CALL))?.bytes.byteLength, bytes.byteLength);
  });
});

function isFound(row: unknown): boolean {
  return row !== null;
}
