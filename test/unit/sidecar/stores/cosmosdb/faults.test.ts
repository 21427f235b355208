// What happens to requests when the server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "#kit/clock.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { type CosmosServer, describeWithCosmosdb, startCosmosdb } from "#test/servers/cosmosdb.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { itSaysWhereNobodyListens } from "#test/stores/trouble.ts";
import { call, onOneEndpoint, openStore, read, removal, textOf, upsert, write } from "./fixture.ts";

describe("a Cosmos DB store in trouble", () => {
  const { endpoint, open } = onOneEndpoint();

  const writes: readonly ((store: Store) => Promise<unknown> | undefined)[] = [
    (store) => store.set(write("k", "1"), call),
    (store) => store.set(write("k", "1", { etag: "e" }), call),
    (store) => store.remove(removal("k"), call),
    (store) => store.transact?.([upsert("k", "1")], call),
  ];

  itSaysWhereNobodyListens(
    (port) => openStore({ ...endpoint().fields, url: `https://localhost:${port}/` }),
    (port) => `cannot connect to Cosmos DB at localhost:${port}: ECONNREFUSED; gave up after 2 attempts`,
  );

  for (const how of ["is cut in place of an answer", "breaks in the middle of the answer"] as const)
    it(`leaves open what became of a write whose connection ${how}, and does not repeat it`, async () => {
      const store = await open();
      const broken = { status: 200, body: "x".repeat(1000), broken: true };
      endpoint().reply = () => (how === "is cut in place of an answer" ? "cut" : broken);
      for (const work of writes) {
        await assert.rejects(async () => work(store), {
          code: "unknown-outcome",
          message: /; the write may have happened$/,
        });
        assert.equal(endpoint().taken().length, 1);
      }
    });

  it("repeats a read whose connection breaks, once", async () => {
    const store = await open();
    const document = { id: "k", value: 1, isBinary: false, partitionKey: "k" };
    endpoint().reply = (_request, count) => (count === 1 ? "cut" : { status: 200, body: document });
    assert.equal(await textOf(store, "k"), "1");
    endpoint().taken();
    endpoint().reply = () => "cut";
    await assert.rejects(store.get("k", read, call), {
      code: "unavailable",
      message: /lost the connection.* 2 attempts$/,
    });
    assert.equal(endpoint().taken().length, 2);
  });

  it("ends when the caller leaves, and says for writes that they may have happened", async () => {
    const store = await open();
    endpoint().reply = () => "hang";
    const leaving = { signal: AbortSignal.timeout(50) };
    await assert.rejects(store.set(write("k", "1"), leaving), {
      code: "timeout",
      message: /caller left.*may have happened$/,
    });
    await assert.rejects(store.get("k", read, { signal: AbortSignal.timeout(50) }), {
      code: "timeout",
      message: /^the caller left before Cosmos DB at localhost:\d+ answered$/,
    });
    assert.equal(endpoint().taken().length, 2);
    await assert.rejects(store.set(write("k", "1"), { signal: AbortSignal.abort() }), {
      code: "timeout",
      message: "the caller left before the request was sent",
    });
    assert.equal(endpoint().taken().length, 0);
  });

  it("ends by itself when no answer comes in the time of a call", async () => {
    // The twenty seconds of a call are over sooner here.
    const after: Clock["after"] = (delayMs, task) => systemClock.after(delayMs > 10_000 ? 2000 : delayMs, task);
    const store = await open({}, { clock: { ...systemClock, after } });
    endpoint().reply = () => "hang";
    await assert.rejects(store.set(write("k", "1"), call), {
      code: "timeout",
      message: /no answer .* in time; the write may/,
    });
  });

  it("ends a pause when the caller leaves, or when the store is closed", async () => {
    let pauses = 0;
    const after: Clock["after"] = (delayMs, task) => {
      if (delayMs === 10_000) pauses++;
      return systemClock.after(delayMs, task);
    };
    const store = await open({}, { clock: { ...systemClock, after } });
    endpoint().reply = () => ({ status: 429, headers: { "x-ms-retry-after-ms": "10000" } });
    const paused = async (count: number): Promise<void> => {
      while (pauses < count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const leaving = new AbortController();
    const left = store.set(write("k", "1"), { signal: leaving.signal });
    await paused(1);
    leaving.abort();
    await assert.rejects(left, { code: "timeout", message: "the caller left before the request was sent" });
    const waiting = store.set(write("k", "1"), call);
    await paused(2);
    await store.close();
    await assert.rejects(waiting, { code: "closed" });
  });

  it("does not read an answer that has no end in sight", async () => {
    const store = await open();
    const body = "x".repeat(33 * 1024 * 1024);
    endpoint().reply = () => ({ status: 200, body });
    await assert.rejects(store.get("k", read, call), { code: "failed", message: /what is no answer of it/ });
    await assert.rejects(store.set(write("k", "1"), call), { code: "unknown-outcome" });
  });

  it("takes no more than 4096 requests at a time", async () => {
    const store = await open();
    endpoint().reply = () => "hang";
    const leaving = new AbortController();
    // One signal for all is what this test is about, and not how many listen to it.
    const each = (): Promise<unknown> => store.get("k", read, { signal: AbortSignal.any([leaving.signal]) });
    const waiting = Array.from({ length: 4096 }, () => each().catch((error: unknown) => error));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await assert.rejects(each(), { code: "unavailable", message: /^4096 requests are under way/ });
    leaving.abort();
    await Promise.all(waiting);
    endpoint().reply = () => ({ status: 404 });
    assert.equal(await store.get("k", read, call), null);
  });
});

describeWithCosmosdb("a Cosmos DB store on a way that breaks", () => {
  let server: CosmosServer;
  let proxy: TcpProxy;
  let store: Store;

  before(async () => {
    server = await startCosmosdb();
  });
  after(() => server.stop());
  beforeEach(async () => {
    proxy = await TcpProxy.start(server);
    store = await openStore({ ...server.fields, url: `http://127.0.0.1:${proxy.port}` });
  });
  afterEach(async () => {
    await store.close();
    await proxy.stop();
  });

  it("writes once, or not at all, when the connection is cut behind the request", async () => {
    await store.set(write("cut", "1"), call);
    proxy.mode = "cut-after-request";
    await assert.rejects(store.set(write("cut", "2"), call), { code: "unknown-outcome" });
    proxy.mode = "pass";
    assert.match((await textOf(store, "cut")) ?? "", /^[12]$/);
  });

  it("says that nothing was written while connections are refused, and goes on afterwards", async () => {
    await store.set(write("refused", "1"), call);
    await proxy.stop();
    await assert.rejects(store.set(write("refused", "2"), call), { code: "unavailable", message: /cannot connect/ });
    proxy = await TcpProxy.start(server);
    const again = await openStore({ ...server.fields, url: `http://127.0.0.1:${proxy.port}` });
    try {
      assert.equal(await textOf(again, "refused"), "1");
    } finally {
      await again.close();
    }
  });

  it("ends when nothing comes back, and goes on with the same store", async () => {
    await store.set(write("hang", "1"), call);
    proxy.mode = "black-hole";
    await assert.rejects(store.set(write("hang", "2"), { signal: AbortSignal.timeout(200) }), {
      code: "timeout",
      message: /may have happened/,
    });
    proxy.mode = "pass";
    assert.equal(await textOf(store, "hang"), "1");
  });
});
