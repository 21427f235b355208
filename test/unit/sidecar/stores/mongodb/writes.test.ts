// Single calls as requests to a replica set, which is stood in for: what is sent, and what becomes of each answer.
import assert from "node:assert/strict";
import { BSON, type Document } from "mongodb";
import { MongodbStandIn } from "#test/servers/mongodb-stand-in.ts";
import { call, listeningLog, onStandIns, openStore, read, removal, STRONG, textOf, write } from "./fixture.ts";

const RETRYABLE = { errorLabels: ["RetryableWriteError"] };

function failing(code: number, more: Document = {}): Document {
  return { ok: 0, code, errmsg: "E11000 dup key: { _id: 'hunter2' }", ...more };
}

function batch(...rows: readonly (Document | Uint8Array)[]): Document {
  return { cursor: { id: 0n, ns: "daprStore.daprCollection", firstBatch: rows }, ok: 1 };
}

describe("a write to a replica set", () => {
  const { open } = onStandIns();

  it("is a classic update, in one journal, or in those of most members when it is strong", async () => {
    const { standIn, store } = await open();
    await store.set(write("a", '{"$in":"no","x":"$y"}'), call);
    await store.set(write("a", '{"x":"$y"}', { strong: true }), call);
    await store.remove(removal("a", { strong: true }), call);
    const [plain, strong, erase] = standIn.told("update", "delete").map(({ body }) => body);
    const { u, q, upsert } = plain?.updates[0] ?? {};
    assert.deepEqual([q, upsert, Object.keys(u)], [{ _id: "a" }, true, ["$set"]]);
    assert.equal(u.$set.value, '{"$in":"no","x":"$y"}');
    assert.deepEqual(strong?.updates[0].u.$set.value, { x: "$y" });
    assert.deepEqual(
      [plain, strong, erase].map((body) => [body?.writeConcern.w, body?.writeConcern.j]),
      [
        [1, true],
        ["majority", true],
        ["majority", true],
      ],
    );
  });

  it("keeps to the write and the read concern of the Component", async () => {
    const { standIn, store } = await open({ fields: { writeConcern: "2", readConcern: "majority" } });
    await store.set(write("a", "1"), call);
    await store.set(write("a", Uint8Array.of(0xff), { isJson: false }), call);
    await store.get("a", read, call);
    assert.deepEqual(
      standIn.told("update").map(({ body }) => [body.writeConcern.w, body.writeConcern.j]),
      [
        [2, true],
        [2, true],
      ],
    );
    assert.deepEqual(standIn.told("find")[0]?.body.readConcern, { level: "majority" });
  });

  it("asks the primary when a read is strong, whatever the read preference is", async () => {
    const { standIn, store } = await open({ fields: { params: "readPreference=secondaryPreferred&replicaSet=rs0" } });
    await store.get("a", read, call);
    await store.get("a", STRONG, call);
    const modes = standIn.told("find").map(({ body }) => body.$readPreference?.mode);
    assert.deepEqual(modes, ["secondaryPreferred", undefined]);
  });

  it("is sent again under the same number when its answer is lost, so that it counts once", async () => {
    const { standIn, store } = await open();
    standIn.answer("update", "cut");
    await store.set(write("a", "1"), call);
    const [first, second] = standIn.told("update").map(({ body }) => body);
    assert.deepEqual([first?.txnNumber, first?.lsid], [second?.txnNumber, second?.lsid]);
    assert.ok(first?.txnNumber !== undefined);
    assert.equal(first?.startTransaction, undefined);
  });

  it("may have happened when both answers are lost", async () => {
    const { standIn, store } = await open();
    standIn.answer("update", "cut", "cut");
    standIn.answer("delete", "cut", "cut");
    const lost = { code: "unknown-outcome", message: /may have happened$/ };
    await assert.rejects(store.set(write("a", "1"), call), lost);
    await assert.rejects(store.remove(removal("a"), call), lost);
  });

  it("may have happened when its answer is lost and no server is left to ask again", async () => {
    const { standIn, store } = await open({ fields: { params: "serverSelectionTimeoutMS=1000" } });
    // A second attempt that is quicker than the end of the stand-in gets no answer either.
    standIn.answer("update", "cut", "silence");
    const writing = store.set(write("a", "1"), call);
    const check = assert.rejects(writing, { code: "unknown-outcome", message: /may have happened$/ });
    while (standIn.told("update").length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await standIn.stop();
    await check;
    // What was never sent has not happened.
    await assert.rejects(store.set(write("a", "1"), call), {
      code: "unavailable",
      message: /^cannot connect to mongodb/,
    });
  });

  it("may have happened when a second attempt meets a server that has stepped down", async () => {
    const { standIn, store } = await open();
    standIn.answer("update", "cut", failing(10107, RETRYABLE));
    await assert.rejects(store.set(write("a", "1"), call), { code: "unknown-outcome" });
    const wrote = { errorLabels: ["RetryableWriteError", "NoWritesPerformed"] };
    standIn.answer("update", failing(10107, wrote), failing(10107, wrote));
    await assert.rejects(store.set(write("a", "1"), call), { code: "unavailable", message: /not the primary/ });
  });

  it("of bytes that are no UTF-8 is sent once, as a string of these bytes, and comes back so", async () => {
    const { standIn, store } = await open();
    const raw = Uint8Array.of(0xff, 0, 0xc3, 0x28);
    await store.set(write("a", raw, { isJson: false, ttlSec: 60 }), call);
    const [sent] = standIn.told("update");
    const string = Buffer.concat([
      Buffer.from([2]),
      Buffer.from("value\0"),
      Buffer.from([5, 0, 0, 0]),
      raw,
      Buffer.from([0]),
    ]);
    assert.ok(sent?.bytes.includes(string));
    assert.deepEqual([sent?.body.updates[0].q, sent?.body.updates[0].upsert], [{ _id: "a" }, true]);
    assert.ok(sent?.body.updates[0].u.$set._ttl instanceof Date);
    assert.deepEqual([sent?.body.writeConcern.w, sent?.body.writeConcern.j], [1, true]);
    const answer = Buffer.from(BSON.serialize(batch({ _id: "a", value: "abcd", _etag: "e", _ttl: null })));
    answer.set(raw, answer.indexOf("abcd"));
    standIn.answer("find", answer);
    const found = await store.get("a", read, call);
    assert.deepEqual([Uint8Array.from(found?.bytes ?? []), found?.etag], [raw, "e"]);
    standIn.answer("update", "cut");
    await assert.rejects(store.set(write("a", raw, { isJson: false }), call), { code: "unknown-outcome" });
    standIn.answer("update", { ok: 1, n: 0, writeErrors: [{ index: 0, code: 11000 }] });
    const first = write("a", raw, { isJson: false, firstWrite: true });
    await assert.rejects(store.set(first, call), { code: "etag-mismatch" });
    standIn.answer("update", { ok: 1, n: 0 });
    await assert.rejects(store.set(write("a", raw, { isJson: false, etag: "e" }), call), { code: "etag-mismatch" });
  });

  it("is not sent again once its caller was told, who may have written something else by then", async () => {
    const { standIn, store } = await open({ fields: { operationTimeout: "2s", params: "socketTimeoutMS=3000" } });
    standIn.answer("update", "silence");
    await assert.rejects(store.set(write("a", "1"), call), { code: "timeout", message: /may have happened$/ });
    await store.set(write("a", "2"), call);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const [first, second, ...more] = standIn.told("update").map(({ body }) => body);
    assert.deepEqual([first?.updates[0].u.$set.value, second?.updates[0].u.$set.value, more], [1, 2, []]);
    // The server may still be at work under the number of the first one's session.
    assert.notDeepEqual(first?.lsid, second?.lsid);
  });

  it("has not happened when no connection became free for it", async () => {
    const { standIn, store } = await open({ fields: { operationTimeout: "2s", params: "maxPoolSize=1" } });
    standIn.answer("update", "silence");
    const first = assert.rejects(store.set(write("a", "1"), call), { code: "timeout" });
    await assert.rejects(store.set(write("b", "1"), call), {
      code: "unavailable",
      message: /^no connection to mongodb at .* became free/,
    });
    await first;
    assert.deepEqual(
      standIn.told("update").map(({ body }) => body.updates[0].q._id),
      ["a"],
    );
  });

  it("may have happened when a router has lost the servers behind it", async () => {
    const { standIn, store } = await open();
    for (const code of [6, 7, 89, 202, 384, 9001, 11601, 99999]) {
      standIn.answer("update", failing(code, RETRYABLE), failing(code, RETRYABLE));
      await assert.rejects(store.set(write("a", "1"), call), {
        code: "unknown-outcome",
        message: new RegExp(`error ${code}\\).*may have happened$`),
      });
    }
    standIn.answer("update", failing(99999));
    await assert.rejects(store.set(write("a", "1"), call), { code: "failed", message: /refused the call/ });
  });

  it("has not happened when the disk is full, which is said, and neither it nor a read is tried again", async () => {
    const { standIn, store } = await open();
    const full = failing(14031);
    const inBatch = { ok: 1, n: 0, writeErrors: [{ index: 0, code: 14031, errmsg: "hunter2" }] };
    standIn.answer("update", full, inBatch);
    standIn.answer("delete", full);
    standIn.answer("find", full);
    const said = {
      code: "unavailable",
      message: `mongodb at ${standIn.address} has no space left on its disk; free some (error 14031)`,
    };
    await assert.rejects(store.set(write("a", "1"), call), said);
    await assert.rejects(store.set(write("a", "1"), call), said);
    await assert.rejects(store.remove(removal("a"), call), said);
    await assert.rejects(store.get("a", read, call), said);
    assert.deepEqual(
      standIn.told("update", "delete", "find").map(({ name }) => name),
      ["update", "update", "delete", "find"],
    );
  });

  it("counts the deleted documents of every attempt", async () => {
    const { standIn, store } = await open();
    const keys = Array.from({ length: 2000 }, (_, index) => `k${index}`);
    standIn.answer("delete", { ok: 1, n: 1000 }, failing(16500), { ok: 1, n: 1000 });
    assert.equal(await store.removeListed?.(keys, call), 2000);
  });

  it("keeps to the write concern of the connection string, with a journal, unless the Component has its own", async () => {
    const concerns: unknown[] = [];
    for (const fields of [{ params: "w=majority" }, { params: "w=majority", writeConcern: "2" }]) {
      const { standIn, store } = await open({ fields });
      await store.set(write("a", "1"), call);
      const { w, j } = standIn.told("update")[0]?.body.writeConcern ?? {};
      concerns.push([w, j]);
    }
    assert.deepEqual(concerns, [
      ["majority", true],
      [2, true],
    ]);
  });

  it("may have happened when too few members have it, and says so", async () => {
    const { standIn, store } = await open();
    standIn.answer("update", { ok: 1, n: 1, nModified: 1, writeConcernError: { code: 64, errmsg: "waiting" } });
    await assert.rejects(store.set(write("a", "1"), call), { code: "unknown-outcome", message: /too few servers/ });
  });

  it("tries again after the time that a throttled service names, and keeps the caller's time", async () => {
    const { standIn, store } = await open({ fields: { operationTimeout: "2s" } });
    const throttled = { ok: 0, code: 16500, errmsg: "Error=16500, RetryAfterMs=12, Details='Request rate is large.'" };
    standIn.answer("update", throttled, {
      ok: 1,
      n: 0,
      writeErrors: [{ index: 0, code: 16500, errmsg: "RetryAfterMs=1" }],
    });
    await store.set(write("a", "1"), call);
    assert.equal(standIn.told("update").length, 3);
    const long = { ok: 0, code: 16500, errmsg: "Error=16500, RetryAfterMs=90000" };
    standIn.answer("find", long, long);
    await assert.rejects(store.get("a", read, call), { code: "unavailable", message: /is throttling/ });
  });

  it("takes a key that came meanwhile for its own, and one of another unique index for a refusal", async () => {
    const { standIn, store } = await open();
    const twice = (keyPattern: Document): Document => ({
      ok: 1,
      n: 0,
      writeErrors: [{ index: 0, code: 11000, keyPattern }],
    });
    standIn.answer("update", twice({ _id: 1 }));
    await store.set(write("a", "1"), call);
    assert.equal(standIn.told("update").length, 2);
    standIn.answer("update", twice({ email: 1 }));
    await assert.rejects(store.set(write("a", "1"), call), { code: "refused", message: /unique index/ });
    assert.equal(standIn.told("update").length, 3);
  });

  it("puts the server's words into no error", async () => {
    const { standIn, store } = await open();
    for (const code of [8, 13, 18, 121, 10334, 52, 50, 11000]) {
      standIn.answer("update", failing(code), failing(code));
      await assert.rejects(store.set(write("hunter2", "1", { firstWrite: true }), call), (error: Error) => {
        assert.equal(`${error.message} ${String(error.cause)}`.includes("hunter2"), false, `${code}: ${error.message}`);
        return true;
      });
    }
  });
});

describe("the time of a replica set", () => {
  const { open } = onStandIns();
  const HOUR_MS = 3_600_000;

  it("is the server's own, by which values go and are hidden, and not the sidecar's", async () => {
    for (const aheadMs of [HOUR_MS, -HOUR_MS]) {
      const { standIn, store } = await open({ aheadMs });
      const fromMs = Date.now() + aheadMs;
      await store.set(write("a", "1", { ttlSec: 60 }), call);
      const ttl: unknown = standIn.told("update")[0]?.body.updates[0].u.$set._ttl;
      assert.ok(ttl instanceof Date);
      const livesMs = ttl.getTime() - fromMs;
      assert.ok(livesMs >= 59_999 && livesMs < 70_000, `${livesMs}`);
      standIn.answer("find", batch({ _id: "a", value: "1", _etag: "e", _ttl: new Date(fromMs + 10_000) }));
      assert.equal(await textOf(store, "a"), "1");
      standIn.answer("find", batch({ _id: "a", value: "1", _etag: "e", _ttl: new Date(fromMs - 1000) }));
      assert.equal(await textOf(store, "a"), null);
      await store.set(write("a", "1", { etag: "e" }), call);
      const { $or } = standIn.told("update")[1]?.body.updates[0].q ?? {};
      assert.ok(Math.abs($or[1]._ttl.$gt.getTime() - fromMs) < 10_000);
    }
  });

  it("is the sidecar's where the server does not tell it, with a warning", async () => {
    const log = listeningLog();
    const { standIn, store } = await open({ log, hello: { localTime: undefined } });
    assert.match(log.warnings.join(), /does not tell its time/);
    await store.set(write("a", "1", { ttlSec: 60 }), call);
    const ttl = standIn.told("update")[0]?.body.updates[0].u.$set._ttl.getTime();
    assert.ok(Math.abs(ttl - Date.now() - 60_000) < 10_000);
  });
});

describe("opening on a service that is not quite MongoDB", () => {
  const { keep } = onStandIns();

  async function standInThat(prepare: (standIn: MongodbStandIn) => void): Promise<MongodbStandIn> {
    const started = await MongodbStandIn.start();
    prepare(started);
    return keep(started, () => started.stop());
  }

  async function warningsOn(standIn: MongodbStandIn): Promise<readonly string[]> {
    const log = listeningLog();
    const store = await openStore({ fields: { host: standIn.address }, log });
    await store.close();
    return log.warnings;
  }

  it("goes on without the index that Cosmos DB refuses, with a warning", async () => {
    const standIn = await standInThat((each) => each.answer("createIndexes", failing(67)));
    assert.match((await warningsOn(standIn)).join(), /does not make the index.*67/);
  });

  it("goes on where the user may not ask for the collection's options, or the server has no hello", async () => {
    const standIn = await standInThat((each) => {
      each.answer("listCollections", failing(13));
      each.answer("hello", failing(59), failing(59), failing(59));
    });
    assert.deepEqual(await warningsOn(standIn), []);
  });

  it("refuses a collection by whose collation different keys are the same", async () => {
    const options = { collation: { locale: "en", strength: 2 } };
    const told = {
      cursor: { id: 0n, ns: "daprStore.$cmd.listCollections", firstBatch: [{ name: "daprCollection", options }] },
      ok: 1,
    };
    const standIn = await standInThat((each) => each.answer("listCollections", told));
    await assert.rejects(openStore({ fields: { host: standIn.address } }), {
      code: "unavailable",
      message: /^collectionName: daprCollection has the collation en/,
    });
  });

  it("says that the password is wrong, and shows none", async () => {
    const standIn = await standInThat((each) => each.answer("saslStart", failing(18), failing(18)));
    const fields = { host: standIn.address, username: "app", password: "hunter2" };
    await assert.rejects(openStore({ fields }), {
      code: "unavailable",
      message: `mongodb at ${standIn.address} refused the user or the password; check username, password and authSource (error 18)`,
    });
  });
});
