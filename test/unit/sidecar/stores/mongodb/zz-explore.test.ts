import assert from "node:assert/strict";
import { MongodbStandIn } from "#test/servers/mongodb-stand-in.ts";
import { call, onStandIns, openStore, read, removal, textOf, write, transact, upsert, deletion, prepare } from "./fixture.ts";
const batch = (...rows: any[]): any => ({ cursor: { id: 0n, ns: "daprStore.daprCollection", firstBatch: rows }, ok: 1 });
const tell = async (what: string, p: Promise<unknown>) => { const t = Date.now(); try { console.log(what, "OK", await p, Date.now() - t); } catch (x: any) { console.log(what, "ERR", x.code, x.message, Date.now() - t); } };

describe("explore", function (this: Mocha.Suite) {
  this.timeout(60_000);
  const { open } = onStandIns();
  it("first-write in a transaction over a row without etag", async () => {
    const { standIn, store } = await open();
    standIn.answer("find", batch({ _id: "a", _ttl: null }));
    await tell("tx firstwrite no etag", transact(store, [upsert("a", "2", { firstWrite: true })]));
  });
  it("router network codes", async () => {
    const { standIn, store } = await open();
    const L = { errorLabels: ["RetryableWriteError"] };
    for (const code of [6, 7, 89, 9001, 202, 279, 11601, 384, 43, 237, 175, 46, 290]) {
      standIn.answer("update", { ok: 0, code, errmsg: "x", ...L }, { ok: 0, code, errmsg: "x", ...L });
      await tell(`code ${code}`, store.set(write("a", "1"), call));
      standIn.answer("update", { ok: 0, code, errmsg: "x", ...L }, { ok: 0, code, errmsg: "x", ...L });
      standIn.commands.length = 0;
    }
  });
  it("raw write concern error", async () => {
    const { standIn, store } = await open();
    standIn.answer("update", { ok: 1, n: 1, nModified: 1, writeConcernError: { code: 64, errmsg: "waiting" } });
    await tell("raw wce", store.set(write("a", Uint8Array.of(0xff), { isJson: false }), call));
    standIn.answer("update", { ok: 0, code: 91, errmsg: "x" });
    await tell("raw 91", store.set(write("a", Uint8Array.of(0xff), { isJson: false }), call));
  });
  it("pool exhausted", async () => {
    const { standIn, store } = await open({ fields: { params: "maxPoolSize=1", operationTimeout: "1s" } });
    standIn.answer("update", "silence");
    await Promise.all([tell("first", store.set(write("a", "1"), call)), tell("queued", store.set(write("b", "1"), call)), tell("queued read", store.get("b", read, call))]);
    await new Promise((r) => setTimeout(r, 2500));
    console.log(standIn.commands.map((c) => c.name + " " + c.body.updates?.[0]?.q._id).join(", "));
  });
  it("transaction after abandoning", async () => {
    const { standIn, store } = await open({ fields: { operationTimeout: "600ms" } });
    const ac = new AbortController();
    // the update's answer comes after the caller left
    const orig = (standIn as any).answers;
    const p = tell("left tx", store.transact!([upsert("a", "1")], { signal: ac.signal }));
    ac.abort();
    await p;
    await new Promise((r) => setTimeout(r, 300));
    console.log(standIn.commands.map((c) => c.name).join(", "));
  });
  it("hung while opening after connect", async () => {
    const standIn = await MongodbStandIn.start();
    standIn.answer("createIndexes", "silence");
    standIn.answer("endSessions", "silence");
    await tell("open hung", openStore({ fields: { host: standIn.address }, signal: AbortSignal.timeout(300) }));
    await standIn.stop();
  });
  it("close with hung call", async () => {
    const { standIn, store } = await open();
    standIn.answer("update", "silence"); standIn.answer("endSessions", "silence");
    const p = tell("hung set", store.set(write("a", "1"), call));
    await new Promise((r) => setTimeout(r, 100));
    await tell("close", store.close());
    await p;
    await tell("close again", store.close());
  });
  it("removeListed throttled", async () => {
    const { standIn, store } = await open();
    const keys = Array.from({ length: 2000 }, (_, i) => `k${i}`);
    standIn.answer("delete", { ok: 1, n: 1000 }, { ok: 0, code: 16500, errmsg: "RetryAfterMs=1" }, { ok: 1, n: 0 }, { ok: 1, n: 1000 });
    await tell("removeListed", store.removeListed!(keys, call));
  });
  it("big integer", async () => {
    const { standIn, store } = await open({ fields: { operationTimeout: "60s" } });
    for (const n of [1e5, 1e6, 4e6]) await tell(`digits ${n}`, store.set(write("a", "9".repeat(n)), call));
    standIn.commands.length = 0;
  });
  it("fields", async () => {
    console.log(prepare({ host: "a", username: "x" }).faults);
    const { standIn, store } = await open({ fields: { params: "w=majority&replicaSet=rs0" } });
    await store.set(write("a", "1"), call);
    console.log(standIn.told("update")[0]?.body.writeConcern);
  });
  it("left calls with hosts unreachable", async () => {
    const { standIn, store } = await open();
    await tell("nul key", store.set(write("a\0b", "1"), call));
    await tell("empty names", store.set(write("a", '{"":1}'), call));
  });
});
