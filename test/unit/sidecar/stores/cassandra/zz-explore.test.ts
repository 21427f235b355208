import assert from "node:assert/strict";
import { startOwnCassandra } from "#test/servers/cassandra.ts";
import { call, openStore, read, removal, textOf, write } from "./fixture.ts";

describe("explore", function (this: Mocha.Suite) {
  this.timeout(150_000);
  let cluster: any; let dapr: any;
  before(async () => { cluster = await startOwnCassandra(); dapr = cluster.openClient(); });
  after(async () => { await dapr.shutdown(); await cluster.stop(); });
  const open = (m: any) => openStore({ hosts: cluster.hosts, port: String(cluster.port), consistency: "Quorum", ...m });
  it("stale uuid etag after dapr", async () => {
    const store = await open({ table: "t1", etags: "true" });
    await store.set(write("k", "1"), call);
    const e = (await store.get("k", read, call))!.etag;
    await dapr.execute("INSERT INTO dapr.t1 (key, value) VALUES (?, ?)", ["k", Buffer.from("2")]);
    try { await store.set(write("k", "3", { etag: e }), call); console.log("SET applied over Dapr's:", await textOf(store, "k")); } catch (x: any) { console.log("set", x.code); }
    await store.set(write("l", "1"), call);
    const el = (await store.get("l", read, call))!.etag;
    await dapr.execute("INSERT INTO dapr.t1 (key, value) VALUES (?, ?)", ["l", Buffer.from("2")]);
    try { await store.remove(removal("l", { etag: el }), call); console.log("REMOVE applied over Dapr's:", await textOf(store, "l")); } catch (x: any) { console.log("remove", x.code); }
    // future writetime of Dapr's
    await dapr.execute(`INSERT INTO dapr.t1 (key, value) VALUES (?, ?) USING TIMESTAMP ${(Date.now() + 60000) * 1000}`, ["f", Buffer.from("2")]);
    const ef = (await store.get("f", read, call))!.etag;
    await store.set(write("f", "3", { etag: ef }), call);
    console.log("future row", ef, await textOf(store, "f"), (await store.get("f", read, call))!.etag);
    // empty values
    await store.set(write("empty", ""), call);
    console.log("empty", await store.get("empty", read, call));
    await dapr.execute("INSERT INTO dapr.t1 (key, value) VALUES (?, ?)", ["e2", Buffer.alloc(0)]);
    const e2 = await store.get("e2", read, call);
    console.log("e2", e2);
    await store.set(write("e2", "x", { etag: e2!.etag }), call);
    try { await store.set(write("empty", "x", { firstWrite: true }), call); console.log("BAD firstwrite over empty"); } catch (x: any) { console.log(x.code); }
    await store.close();
  });
  it("busy", async () => {
    const store = await open({ table: "t2" });
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    const all = await Promise.all(Array.from({ length: 40 }, () => store.getMany!(keys, read, call)));
    const errs = new Map<string, number>();
    for (const a of all) for (const x of a) if (x instanceof Error) errs.set(x.message, (errs.get(x.message) ?? 0) + 1);
    console.log("getMany errors", errs);
    const r = await Promise.allSettled(Array.from({ length: 5000 }, (_, i) => store.set(write("s" + i, "1"), call)));
    const m = new Map<string, number>();
    for (const x of r) if (x.status === "rejected") m.set(x.reason.code + x.reason.message, (m.get(x.reason.code + x.reason.message) ?? 0) + 1);
    console.log("sets", m);
    await store.close();
  });
});
