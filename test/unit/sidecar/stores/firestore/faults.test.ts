// What happens to requests when Datastore or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import { describeWithDatastore } from "#test/servers/datastore.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import type { ThroughProxy } from "#test/stores/trouble.ts";
import { itDoesAsGooglesDo, untilWritten } from "../google/trouble.ts";
import { call, etagOf, onOneServer, openStore, prepare, textOf, write } from "./fixture.ts";

describeWithDatastore("a Firestore store in trouble", () => {
  const { server, keep, open } = onOneServer();

  async function throughProxy(): Promise<ThroughProxy> {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    return { proxy, store: await open({ endpoint: `127.0.0.1:${proxy.port}`, timeout: "4s" }) };
  }

  itDoesAsGooglesDo({ product: "datastore", server, prepare, openStore, throughProxy });

  it("leaves no connection when its time is up before an answer came", async () => {
    // Takes calls, and answers none.
    const silent = createServer();
    keep(silent, () => silent.close());
    const sessions: Promise<unknown>[] = [];
    silent.on("session", (session) => sessions.push(once(session, "close")));
    const called = once(silent, "stream");
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    assert.ok(address !== null && typeof address === "object");
    const leaving = new AbortController();
    const opened = openStore({ project_id: "test", endpoint: `127.0.0.1:${address.port}` }, leaving.signal);
    await called;
    leaving.abort();
    await assert.rejects(opened, { code: "timeout", message: /the caller left/ });
    assert.equal(sessions.length, 1);
    await Promise.all(sessions);
  });

  it("repeats a read whose connection breaks, and says what is open of a write", async () => {
    const { proxy, store } = await throughProxy();
    await store.set(write("cut", "1"), call);
    proxy.cut();
    assert.equal(await textOf(store, "cut"), "1");
    const etag = await etagOf(store, "cut");
    proxy.cut();
    // Its lookup was cut, of which nothing is in doubt.
    await store.set(write("cut", "2", { etag }), call);
    proxy.mode = "cut-after-request";
    await assert.rejects(store.set(write("cut", "3"), call), {
      code: "unknown-outcome",
      message: /^lost the connection to datastore at .*; the write may have happened$/,
    });
    proxy.mode = "pass";
    await untilWritten(store, "after");
    // Cut in its middle the request may have come or not: that is why it is open.
    assert.match((await textOf(store, "cut")) ?? "", /^[23]$/);
  });

  it("refuses at once while nobody listens, and works when the server is back", async () => {
    const store = await open();
    await store.set(write("before", "1"), call);
    const etag = await etagOf(store, "before");
    await server().halt();
    await assert.rejects(store.set(write("during", "1"), call), { code: /unavailable|unknown-outcome/ });
    await assert.rejects(store.set(write("during", "1"), call), {
      code: "unavailable",
      message: /^cannot connect to datastore at 127\.0\.0\.1:\d+: ECONN/,
    });
    await server().restart();
    await untilWritten(store, "after");
    assert.equal(await textOf(store, "during"), null);
    await store.set(write("before", "2", { etag }), call);
    assert.equal(await textOf(store, "before"), "2");
  });
});
