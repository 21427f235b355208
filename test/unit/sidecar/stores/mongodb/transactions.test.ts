// Transactions as requests to a replica set, which is stood in for: what is sent, and what becomes of each answer.
import assert from "node:assert/strict";
import type { Document } from "mongodb";
import { addressedMongodb } from "#test/servers/mongodb.ts";
import { deletion, eventually, onStandIns, openStore, textOf, transact, upsert } from "./fixture.ts";

const TRANSIENT = { errorLabels: ["TransientTransactionError"] };
const UNKNOWN = { errorLabels: ["UnknownTransactionCommitResult", "RetryableWriteError"] };

function failing(code: number, more: Document = {}): Document {
  return { ok: 0, code, codeName: "Name", errmsg: "dup key: { _id: 'hunter2' }", ...more };
}

function batch(...rows: readonly Document[]): Document {
  return { cursor: { id: 0n, ns: "daprStore.daprCollection", firstBatch: rows }, ok: 1 };
}

const WITHIN = ["find", "update", "delete", "commitTransaction", "abortTransaction"];

describe("a transaction on a replica set", () => {
  const { open } = onStandIns();

  it("is one of the server's: one number, a snapshot, and a commit by most members", async () => {
    const { standIn, store } = await open();
    assert.deepEqual([store.features.transactions, store.capabilities.includes("TRANSACTIONAL")], [true, true]);
    await transact(store, [upsert("b", '{"a":1}', { ttlSec: 60 }), deletion("c"), upsert("a", "1")]);
    const told = standIn.told(...WITHIN);
    assert.deepEqual(
      told.map(({ name }) => name),
      ["update", "delete", "commitTransaction"],
    );
    const [first, second, commit] = told.map(({ body }) => body);
    assert.deepEqual(
      [first?.startTransaction, first?.autocommit, first?.readConcern],
      [true, false, { level: "snapshot" }],
    );
    assert.equal(second?.startTransaction, undefined);
    assert.deepEqual([commit?.writeConcern?.w, commit?.autocommit], ["majority", false]);
    assert.equal(new Set(told.map(({ body }) => `${body.lsid.id.toString("hex")} ${body.txnNumber}`)).size, 1);
    const updates: readonly Document[] = first?.updates;
    assert.deepEqual(
      updates.map(({ q, upsert: makes, u }) => [q._id, makes, Object.keys(u), Object.keys(u.$set).sort()]),
      ["a", "b"].map((key) => [key, true, ["$set"], ["_etag", "_ttl", "value"]]),
    );
    assert.deepEqual(second?.deletes, [{ q: { _id: "c" }, limit: 1 }]);
  });

  it("makes only the last change of a key", async () => {
    const { standIn, store } = await open();
    await transact(store, [upsert("a", "1"), deletion("b"), upsert("a", "2"), upsert("b", "3"), deletion("b")]);
    const [update, erase] = standIn.told("update", "delete");
    assert.deepEqual([update?.body.updates.length, update?.body.updates[0].u.$set.value], [1, 2]);
    assert.deepEqual(erase?.body.deletes, [{ q: { _id: "b" }, limit: 1 }]);
  });

  it("looks at every condition before the first change, and undoes what has begun when one does not hold", async () => {
    const { standIn, store } = await open();
    standIn.answer("find", batch({ _id: "a", _etag: "e1", _ttl: null }));
    const changes = [upsert("x", "1"), upsert("a", "2", { etag: "e0" })];
    await assert.rejects(transact(store, changes), { code: "etag-mismatch", message: /^change 2 of 2: / });
    assert.deepEqual(
      standIn.told(...WITHIN).map(({ name }) => name),
      ["find", "abortTransaction"],
    );
    standIn.answer("find", batch({ _id: "a", _etag: "e1", _ttl: null }));
    await assert.rejects(transact(store, [upsert("a", "2", { firstWrite: true })]), { code: "etag-mismatch" });
    standIn.answer("find", batch({ _id: "a", _etag: "e1", _ttl: new Date(Date.now() - 60_000) }));
    await assert.rejects(transact(store, [deletion("a", { etag: "e1" })]), { code: "etag-mismatch" });
    standIn.answer("find", batch({ _id: "a", _etag: "e1", _ttl: new Date(Date.now() - 60_000) }));
    await transact(store, [upsert("a", "2", { firstWrite: true })]);
    standIn.answer("find", batch({ _id: "a", _etag: "e1" }));
    await transact(store, [upsert("a", "2", { etag: "e1" })]);
    assert.equal(standIn.told("commitTransaction").length, 2);
  });

  it("counts a document without an ETag as there", async () => {
    const { standIn, store } = await open();
    standIn.answer("find", batch({ _id: "a", _ttl: null }), batch({ _id: "a" }));
    const first = { code: "etag-mismatch", message: /already exists/ };
    await assert.rejects(transact(store, [upsert("a", "2", { firstWrite: true })]), first);
    const other = { code: "etag-mismatch", message: /another etag/ };
    await assert.rejects(transact(store, [upsert("a", "2", { etag: "e" })]), other);
    assert.deepEqual(standIn.told("update", "commitTransaction"), []);
  });

  it("is not committed once its caller has left, who may be writing again by then", async () => {
    const { standIn, store } = await open();
    const caller = new AbortController();
    standIn.when("update", () => caller.abort());
    const left = store.transact?.([upsert("a", "1"), deletion("b")], { signal: caller.signal });
    await assert.rejects(left ?? Promise.resolve(), { code: "timeout", message: /may have happened$/ });
    await eventually(async () => assert.equal(standIn.told("abortTransaction").length, 1));
    assert.deepEqual(standIn.told("commitTransaction"), []);
    // Nor is the rest of it written outside.
    assert.deepEqual(
      standIn.told("update", "delete").map(({ name, body }) => [name, body.autocommit]),
      [
        ["update", false],
        ["delete", false],
      ],
    );
  });

  it("begins anew when it meets another one, until it fits", async () => {
    const { standIn, store } = await open();
    standIn.answer("update", failing(112, TRANSIENT), { ok: 1, n: 0, writeErrors: [{ index: 0, code: 11000 }] });
    await transact(store, [upsert("a", "1")]);
    assert.deepEqual(
      standIn.told(...WITHIN).map(({ name }) => name),
      ["update", "abortTransaction", "update", "abortTransaction", "update", "commitTransaction"],
    );
    const numbers = standIn.told("update").map(({ body }) => `${body.lsid.id.toString("hex")} ${body.txnNumber}`);
    assert.equal(new Set(numbers).size, 3);
  });

  it("begins anew when the server has given it up at the commit", async () => {
    const { standIn, store } = await open();
    standIn.answer("commitTransaction", failing(251, TRANSIENT));
    await transact(store, [upsert("a", "1")]);
    assert.equal(standIn.told("update").length, 2);
  });

  it("tells when the commit fails, in none of the server's words", async () => {
    const { standIn, store } = await open();
    standIn.answer("commitTransaction", failing(8));
    await assert.rejects(transact(store, [upsert("a", "1")]), (error: Error) => {
      assert.deepEqual([Reflect.get(error, "code"), error.message.includes("hunter2")], ["failed", false]);
      return true;
    });
  });

  it("has written nothing when the disk is full, says so, and is not begun anew", async () => {
    const { standIn, store } = await open();
    const full = {
      code: "unavailable",
      message: `mongodb at ${standIn.address} has no space left on its disk; free some (error 14031)`,
    };
    standIn.answer("update", failing(14031));
    await assert.rejects(transact(store, [upsert("a", "1"), deletion("b")]), full);
    standIn.answer("commitTransaction", failing(14031));
    await assert.rejects(transact(store, [upsert("a", "1")]), full);
    assert.deepEqual(
      standIn.told("update", "commitTransaction").map(({ name }) => name),
      ["update", "update", "commitTransaction"],
    );
  });

  it("asks for the outcome again when the answer to the commit is lost", async () => {
    const { standIn, store } = await open();
    standIn.answer("commitTransaction", "cut", failing(91, UNKNOWN), failing(91, UNKNOWN));
    await transact(store, [upsert("a", "1")]);
    const commits = standIn.told("commitTransaction").map(({ body }) => body.txnNumber);
    assert.equal(new Set(commits).size, 1);
    assert.equal(standIn.told("update").length, 1);
  });

  it("says that it may have happened when no commit is answered", async () => {
    const { standIn, store } = await open({ fields: { operationTimeout: "2s" } });
    standIn.answer("commitTransaction", ...new Array(20_000).fill(failing(91, UNKNOWN)));
    await assert.rejects(transact(store, [upsert("a", "1")]), { message: /may have happened/ });
    const silent = await open({ fields: { operationTimeout: "2s" } });
    silent.standIn.answer("commitTransaction", "silence");
    await assert.rejects(transact(silent.store, [upsert("a", "1")]), { code: "timeout", message: /may have happened/ });
  });

  it("names the server that had no more time for the commit, and says that it may have happened", async () => {
    const { standIn, store } = await open();
    // The client itself asks twice.
    standIn.answer("commitTransaction", failing(50, UNKNOWN), failing(50, UNKNOWN));
    await assert.rejects(transact(store, [upsert("a", "1")]), {
      code: "unknown-outcome",
      message: `mongodb at ${standIn.address} did not answer the commit; the write may have happened`,
    });
  });

  it("says that it may have happened when the commit was lost and no server is left to ask", async () => {
    const { standIn, store } = await open({
      fields: { operationTimeout: "4s", params: "serverSelectionTimeoutMS=1000" },
    });
    standIn.answer("commitTransaction", "cut", "silence");
    const check = assert.rejects(transact(store, [upsert("a", "1")]), { message: /may have happened/ });
    while (standIn.told("commitTransaction").length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await standIn.stop();
    await check;
  });

  it("says that it may have happened when the commit has reached too few members", async () => {
    const { standIn, store } = await open();
    const short = { ok: 1, writeConcernError: { code: 100, errmsg: "not enough" } };
    standIn.answer("commitTransaction", short);
    await assert.rejects(transact(store, [upsert("a", "1")]), { code: "unknown-outcome" });
  });

  it("has written nothing when the connection breaks before the commit, and begins anew", async () => {
    const { standIn, store } = await open();
    standIn.answer("update", "cut");
    await transact(store, [upsert("a", "1")]);
    assert.deepEqual([standIn.told("update").length, standIn.told("commitTransaction").length], [2, 1]);
  });

  it("judges keys and values before it sends anything", async () => {
    const { standIn, store } = await open();
    await assert.rejects(transact(store, [upsert("a", "1"), upsert("\ud800", "1")]), {
      code: "refused",
      message: /^change 2 of 2: .*surrogate/,
    });
    const large = "x".repeat(17 * 1024 * 1024);
    await assert.rejects(transact(store, [upsert("a", `"${large}"`)]), {
      code: "refused",
      message: /^change 1 of 1: /,
    });
    assert.deepEqual(standIn.told(...WITHIN), []);
  });

  it("writes bytes that are no UTF-8 within it", async () => {
    const { standIn, store } = await open();
    await transact(store, [upsert("a", Uint8Array.of(0xff, 0), { isJson: false }), upsert("b", "1")]);
    const numbers = standIn.told("update", "commitTransaction").map(({ body }) => body.txnNumber);
    assert.deepEqual([numbers.length, new Set(numbers).size], [3, 1]);
    const [raw] = standIn.told("update");
    assert.ok(raw?.bytes.includes(Buffer.from([2, ...Buffer.from("value\0"), 3, 0, 0, 0, 0xff, 0, 0])));
    assert.equal(raw?.body.writeConcern, undefined);
  });

  it("is there also behind a router, and not on a server alone", async () => {
    const router = { setName: undefined, hosts: undefined, primary: undefined, msg: "isdbgrid" };
    assert.equal((await open({ hello: router })).store.features.transactions, true);
    const alone = { setName: undefined, hosts: undefined, primary: undefined };
    const { store } = await open({ hello: alone });
    assert.deepEqual(
      [store.features.transactions, store.transact, store.capabilities.includes("TRANSACTIONAL")],
      [false, undefined, false],
    );
  });
});

const addressed = addressedMongodb();
const title = "a transaction on a real replica set";

("uri" in addressed ? describe : describe.skip)(
  "uri" in addressed ? title : `${title} (not run: ${addressed.missing})`,
  () => {
    it("is undone as a whole when one of two that met has to go", async () => {
      const connectionString = "uri" in addressed ? addressed.uri : "";
      const fields = { connectionString, databaseName: `pannier_transactions_${Date.now()}` };
      const store = await openStore({ fields });
      try {
        const both = (value: string) => transact(store, [upsert("left", value), upsert("right", value)]);
        await Promise.all(Array.from({ length: 20 }, (_, turn) => both(String(turn))));
        assert.equal(await textOf(store, "left"), await textOf(store, "right"));
      } finally {
        await store.close();
      }
    });
  },
);
