import assert from "node:assert/strict";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { CALL, eventually, Fixture, failure, READ, textOf, write } from "./fixture.ts";

describe("faults of an SQLite file", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  it("reads answer and the event loop turns while a write waits for another process's lock", async () => {
    const store = await fixture.open({ busyTimeout: 15_000, timeout: 15_000 });
    await store.set(write("k", "1"), CALL);
    const release = await fixture.lockElsewhere();
    let settled = false;
    const waiting = store.set(write("k", "2"), CALL).finally(() => {
      settled = true;
    });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    for (let read = 0; read < 50 || ticks < 10; read++) assert.equal(await textOf(store, "k"), "1");
    clearInterval(timer);
    assert.equal(settled, false);
    await release();
    await waiting;
    assert.equal(await textOf(store, "k"), "2");
  });

  it("a write gives up after busyTimeout with the file's name, and the next one after the release succeeds", async () => {
    const store = await fixture.open({ busyTimeout: 100 });
    const release = await fixture.lockElsewhere();
    const locked = failure("unavailable", /state\.db stayed locked .* busyTimeout \(100ms\); nothing was written/);
    await assert.rejects(store.set(write("k", "1"), CALL), locked);
    await release();
    await store.set(write("k", "2"), CALL);
    assert.equal(await textOf(store, "k"), "2");
  });

  it("requests end within timeout: begun writes of unknown outcome, waiting ones not begun", async () => {
    const store = await fixture.open({ busyTimeout: 15_000, timeout: 1000 });
    const release = await fixture.lockElsewhere();
    const begun = store.set(write("begun", "1"), CALL);
    await new Promise(setImmediate);
    const waiting = store.set(write("waiting", "1"), CALL);
    await Promise.all([
      assert.rejects(begun, failure("timeout", /state\.db gave no answer within timeout \(1s\); the write may have/)),
      assert.rejects(waiting, failure("unavailable", /had not begun, nothing was written/)),
    ]);
    await release();
    await eventually(() => store.set(write("after", "1"), CALL));
    assert.equal(await textOf(store, "begun"), "1");
    assert.equal(await textOf(store, "waiting"), null);
  });

  it("a caller that leaves takes a waiting write along, and leaves a begun one open", async () => {
    const store = await fixture.open({ busyTimeout: 15_000, timeout: 15_000 });
    const release = await fixture.lockElsewhere();
    const caller = new AbortController();
    const call = { signal: caller.signal };
    const begun = store.set(write("begun", "1"), call);
    await new Promise(setImmediate);
    const waiting = store.set(write("waiting", "1"), call);
    caller.abort();
    await assert.rejects(begun, failure("timeout", /the write may have happened/));
    await assert.rejects(waiting, failure("timeout", /nothing was written/));
    await assert.rejects(store.get("k", READ, call), failure("timeout", /before the work began/));
    await release();
    await store.set(write("after", "1"), CALL);
    assert.deepEqual(fixture.rows("SELECT key FROM state ORDER BY key"), [{ key: "after" }, { key: "begun" }]);
  });

  it("opening gives up when the Component's time is over, and opens a locked file that is in order", async () => {
    const release = await fixture.lockElsewhere();
    const aborted = failure("timeout", /was not opened in time/);
    await assert.rejects(openWithin(fixture, 50), aborted);
    await release();
    const store = await fixture.open();
    await store.set(write("k", "1"), CALL);
    const releaseAgain = await fixture.lockElsewhere();
    assert.equal(await textOf(await fixture.open({ busyTimeout: 0 }), "k"), "1");
    await releaseAgain();
  });

  it("a full database refuses writes with a reason, serves reads, and takes writes again once there is room", async () => {
    const store = await fixture.open({ connectionString: `${fixture.path}?_pragma=max_page_count(30)` });
    const large = JSON.stringify("x".repeat(20_000));
    const full = failure("unavailable", /no space left for .*state\.db.*nothing was written/);
    const fill = async (): Promise<void> => {
      for (let i = 0; ; i++) await store.set(write(`k${i}`, large), CALL);
    };
    await assert.rejects(fill(), full);
    assert.equal(await textOf(store, "k0"), large);
    await store.remove({ key: "k0", etag: null, firstWrite: false, strong: false, metadata: {} }, CALL);
    await store.set(write("new", large), CALL);
    assert.equal(await textOf(store, "new"), large);
  });

  it("a transaction that does not fit leaves nothing behind", async () => {
    const store = await fixture.open({ connectionString: `${fixture.path}?_pragma=max_page_count(30)` });
    const changes = ["a", "b", "c", "d", "e"].map((key) => write(key, JSON.stringify("x".repeat(40_000))));
    const transaction = store.transact(
      changes.map((each) => ({ kind: "upsert", write: each })),
      CALL,
    );
    await assert.rejects(transaction, failure("unavailable", /no space left/));
    assert.deepEqual(fixture.rows("SELECT key FROM state"), []);
  });

  it("a file that is opened read-only is read, and refuses writes with Dapr's words", async () => {
    const first = await fixture.open();
    await first.set(write("k", "1"), CALL);
    await first.close();
    const store = await fixture.open({ connectionString: `${fixture.path}?mode=ro` });
    assert.equal(await textOf(store, "k"), "1");
    const refused = failure("unavailable", /attempt to write a readonly database.*state\.db/);
    await assert.rejects(store.set(write("k", "2"), CALL), refused);
    assert.equal(await textOf(store, "k"), "1");
  });

  it("a file opened read-only must hold the tables", async () => {
    writeFileSync(fixture.path, "");
    await assert.rejects(
      fixture.open({ connectionString: `${fixture.path}?mode=ro` }),
      failure("failed", /state\.db: no such table: state/),
    );
  });

  it("a missing directory is named, and serves once it is there", async () => {
    const directory = join(fixture.directory, "missing");
    const connectionString = join(directory, "a.db");
    await assert.rejects(
      fixture.open({ connectionString }),
      failure("unavailable", /the directory .*missing of the database file .*a\.db does not exist; create it/),
    );
    await mkdir(directory);
    await fixture.open({ connectionString });
  });

  it("a file that is no database is refused, and left as it is", async () => {
    writeFileSync(fixture.path, "no database ".repeat(100));
    await assert.rejects(fixture.open(), failure("unavailable", /state\.db is damaged or no SQLite database/));
  });

  it("a deleted file is noticed by reads and writes, and made anew", async () => {
    const store = await fixture.open();
    await store.set(write("k", "1"), CALL);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(fixture.path + suffix);
    const moved = failure("unavailable", /state\.db was deleted or replaced while it was open/);
    await assert.rejects(store.set(write("k", "2"), CALL), moved);
    await assert.rejects(store.get("k", READ, CALL), moved);
    assert.equal(await textOf(store, "k"), null);
    await store.set(write("k", "3"), CALL);
    assert.deepEqual(fixture.rows("SELECT value FROM state"), [{ value: "3" }]);
  });

  it("a write is not acknowledged when its file is deleted before the commit", async () => {
    const store = await fixture.open({ busyTimeout: 15_000, timeout: 15_000 });
    const release = await fixture.lockElsewhere();
    const waiting = store.set(write("k", "1"), CALL);
    await eventually(async () => assert.equal(await textOf(store, "k"), null));
    for (const suffix of ["", "-wal", "-shm"]) rmSync(fixture.path + suffix);
    await Promise.all([assert.rejects(waiting, failure("unavailable", /deleted or replaced/)), release()]);
  });

  it("a file replaced by a damaged one fails until a good one stands in its place", async () => {
    const other = new Fixture();
    const backup = await other.open();
    await backup.set(write("k", '"backup"'), CALL);
    await backup.close();
    const store = await fixture.open();
    await store.set(write("k", "1"), CALL);
    writeFileSync(`${fixture.path}.bad`, "no database ".repeat(1000));
    for (const suffix of ["-wal", "-shm"]) rmSync(fixture.path + suffix);
    renameSync(`${fixture.path}.bad`, fixture.path);
    await assert.rejects(store.get("k", READ, CALL), failure("unavailable", /deleted or replaced/));
    await assert.rejects(store.get("k", READ, CALL), failure("unavailable", /damaged/));
    renameSync(other.path, fixture.path);
    assert.equal(await eventually(() => textOf(store, "k")), '"backup"');
    await eventually(() => store.set(write("k", "2"), CALL));
    assert.equal(await textOf(store, "k"), "2");
    await other.close();
  });
});

async function openWithin(fixture: Fixture, ms: number): Promise<void> {
  await fixture.open({ busyTimeout: 15_000 }, undefined, AbortSignal.timeout(ms));
}
