// What happens to requests when the server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithRedis, type RedisServer } from "#test/servers/redis.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { itSaysWhereNobodyListens } from "#test/stores/trouble.ts";
import {
  call,
  etagOf,
  eventually,
  listeningLog,
  onServersOfItsOwn,
  openStore,
  plainClient,
  read,
  removal,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

describeWithRedis("a Redis store in trouble", () => {
  const { start, open, keep } = onServersOfItsOwn();
  const throughProxy = async (
    fields: Record<string, string> = {},
  ): Promise<{ proxy: TcpProxy; store: Store; server: RedisServer }> => {
    const server = await start();
    const proxy = await TcpProxy.start(server);
    keep(proxy, () => proxy.stop());
    return { proxy, server, store: await open(proxy.port, fields) };
  };

  itSaysWhereNobodyListens(
    (port) => openStore({ port }),
    (port) => new RegExp(`cannot connect to redis at 127.0.0.1:${port}: .*ECONNREFUSED`),
  );

  it("does not open on a server that hangs, within dialTimeout", async () => {
    const server = await start();
    server.pause();
    await assert.rejects(openStore({ port: server.port, fields: { dialTimeout: "200", readTimeout: "1m" } }), {
      code: "unavailable",
      message: /no answer in time/,
    });
  });

  it("gives up opening when it is told to, before and during", async () => {
    const server = await start();
    await assert.rejects(openStore({ port: server.port, signal: AbortSignal.abort() }), { code: "closed" });
    server.pause();
    await assert.rejects(openStore({ port: server.port, signal: AbortSignal.timeout(100) }), { code: "closed" });
    server.resume();
    const client = plainClient(server.port);
    await eventually(async () => assert.doesNotMatch((await client.client("LIST")) as string, /pannier-test/));
    client.disconnect();
  });

  it("fails at once while the server is down and serves again when it is back, with what was acknowledged", async () => {
    const server = await start({ appendOnly: true });
    const store = await open(server.port);
    await store.set(write("k", "kept"), call);
    await server.kill9();
    const down = { code: "unavailable", message: new RegExp(`127.0.0.1:${server.port}`) };
    await eventually(async () => assert.rejects(store.set(write("k", "lost"), call), down));
    await assert.rejects(store.get("k", read, call), down);
    await assert.rejects(store.remove(removal("k"), call), down);
    await assert.rejects(store.transact?.([upsert("k", "x")], call) ?? Promise.resolve(), down);
    await assert.rejects(store.ping(call), down);
    const items = (await store.getMany?.(["k"], read, call)) ?? [];
    assert.ok(items[0] instanceof Error);
    await server.restart();
    await eventually(() => store.ping(call));
    assert.equal(await textOf(store, "k"), "kept");
    await store.set(write("k", "new", { etag: "1" }), call);
  });

  it("loses no acknowledged write when the server is killed under load", async () => {
    const server = await start({ appendOnly: true });
    const store = await open(server.port);
    const acknowledged: number[] = [];
    let stop = false;
    let next = 0;
    const writer = async (): Promise<void> => {
      while (!stop) {
        const number = next++;
        await store.set(write(`k${number}`, `${number}`), call).then(
          () => acknowledged.push(number),
          () => new Promise((resolve) => setTimeout(resolve, 5)),
        );
      }
    };
    const writers = Array.from({ length: 8 }, writer);
    await eventually(async () => assert.ok(acknowledged.length > 200));
    await server.kill9();
    await server.restart();
    const before = acknowledged.length;
    await eventually(async () => assert.ok(acknowledged.length > before + 200));
    stop = true;
    await Promise.all(writers);
    for (const number of acknowledged) assert.equal(await textOf(store, `k${number}`), `${number}`);
  });

  it("times out on a server that hangs, says that a write may have happened, and serves again", async () => {
    const server = await start();
    const store = await open(server.port, { readTimeout: "2000", dialTimeout: "2000" });
    await store.set(write("k", "1"), call);
    server.pause();
    const [written, seen] = await Promise.allSettled([store.set(write("k", "2"), call), store.get("k", read, call)]);
    assert.ok(written.status === "rejected" && seen.status === "rejected");
    assert.equal(written.reason.code, "timeout");
    assert.match(written.reason.message, /within 2000 ms; the write may have happened/);
    assert.equal(seen.reason.code, "timeout");
    await assert.rejects(store.get("k", read, call), { code: "unavailable", message: /stopped answering|no answer/ });
    server.resume();
    await eventually(() => store.ping(call));
    assert.equal(await etagOf(store, "k"), "2");
  });

  it("times out behind a network that swallows everything, and takes a new connection", async () => {
    const { proxy, store } = await throughProxy({ readTimeout: "2000", dialTimeout: "2000" });
    await store.set(write("k", "1"), call);
    proxy.mode = "black-hole";
    await assert.rejects(store.set(write("k", "2"), call), { code: "timeout" });
    proxy.mode = "pass";
    await eventually(() => store.ping(call));
    assert.equal(proxy.accepted > 1, true);
    assert.equal(await textOf(store, "k"), "1");
  });

  it("does not time out while it is idle", async () => {
    const server = await start();
    const store = await open(server.port, { readTimeout: "1000" });
    const client = plainClient(server.port);
    const id = async (): Promise<string> =>
      /id=(\d+)[^\n]*pannier-test/.exec((await client.client("LIST")) as string)?.[1] ?? "";
    const first = await id();
    await store.ping(call);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await store.ping(call);
    assert.equal(await id(), first);
    client.disconnect();
  });

  it("says unknown when the connection is cut after a write was sent, and never sends it again", async () => {
    const { proxy, store } = await throughProxy();
    // The server learns the scripts first: else the answer that is lost is only that it does not know one.
    await store.transact?.([upsert("warm", "1")], call);
    await store.remove(removal("warm"), call);
    await store.set(write("k", "1"), call);
    proxy.mode = "cut-after-request";
    const unsure = { code: "unknown-outcome", message: /lost the connection.*the write may have happened/ };
    await assert.rejects(store.set(write("k", "2"), call), unsure);
    proxy.mode = "pass";
    await eventually(() => store.ping(call));
    assert.equal(await etagOf(store, "k"), "2");
    proxy.mode = "cut-after-request";
    await assert.rejects(store.transact?.([upsert("k", "3")], call) ?? Promise.resolve(), unsure);
    proxy.mode = "pass";
    await eventually(() => store.ping(call));
    assert.equal(await etagOf(store, "k"), "3");
    proxy.mode = "cut-after-request";
    await assert.rejects(store.remove(removal("k"), call), unsure);
    proxy.mode = "pass";
    await eventually(async () => assert.equal(await textOf(store, "k"), null));
  });

  it("repeats reads, and writes that were not sent, over a connection that is cut once", async () => {
    const { proxy, store } = await throughProxy();
    await store.set(write("k", "1"), call);
    for (let round = 0; round < 5; round++) {
      const reading = store.get("k", read, call);
      proxy.cut();
      assert.equal(Buffer.from((await reading)?.bytes ?? []).toString(), "1");
    }
    proxy.cut();
    await eventually(async () => assert.ok(proxy.accepted >= 7));
    await store.set(write("k", "2"), call);
    assert.equal(await etagOf(store, "k"), "2");
  });

  it("repeats nothing when redisMaxRetries is -1", async () => {
    const { proxy, store } = await throughProxy({ redisMaxRetries: "-1" });
    proxy.mode = "cut-after-request";
    await assert.rejects(store.get("k", read, call), { code: "unavailable", message: /lost the connection/ });
  });

  it("goes on after a way that refused for a while", async () => {
    const { proxy, store } = await throughProxy();
    proxy.mode = "refuse";
    await eventually(async () => assert.rejects(store.get("k", read, call), { code: "unavailable" }));
    proxy.mode = "pass";
    await eventually(() => store.ping(call));
  });

  it("names a wrong password without showing it, at start and after a restart", async () => {
    const server = await start({ args: ["--requirepass", "right"] });
    const refused = /127\.0\.0\.1:\d+ .*check redisUsername and redisPassword$/;
    const wrong = await openStore({ port: server.port, fields: { redisPassword: "wr0ng" } }).catch(
      (error: unknown) => error,
    );
    assert.ok(wrong instanceof Error);
    assert.match(wrong.message, refused);
    assert.doesNotMatch(`${wrong.stack}${JSON.stringify(wrong)}${String(wrong.cause)}`, /wr0ng/);
    await assert.rejects(openStore({ port: server.port }), { code: "unavailable", message: refused });
    const log = listeningLog();
    const store = await open(server.port, { redisPassword: "right" }, log);
    const client = plainClient(server.port, { password: "right" });
    await client.config("SET", "requirepass", "changed");
    await client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    client.disconnect();
    await eventually(async () => assert.rejects(store.get("k", read, call), { code: "unavailable", message: refused }));
    assert.match(log.warnings.join("\n"), /cannot be reached/);
    assert.doesNotMatch(log.warnings.join("\n"), /"right"/);
  });

  it("says that memory is full, and still reads and deletes", async () => {
    const server = await start({ args: ["--maxmemory-policy", "noeviction"] });
    const store = await open(server.port);
    await store.set(write("k", "1"), call);
    const client = plainClient(server.port);
    await client.config("SET", "maxmemory", "1kb");
    const full = { code: "unavailable", message: /out of memory; raise maxmemory/ };
    await assert.rejects(store.set(write("k", "2"), call), full);
    await assert.rejects(store.transact?.([upsert("a", "1"), upsert("b", "1")], call) ?? Promise.resolve(), full);
    assert.equal(await textOf(store, "k"), "1");
    await store.remove(removal("k", { etag: "1" }), call);
    await client.config("SET", "maxmemory", "0");
    client.disconnect();
    await store.set(write("k", "3"), call);
  });

  it("says that the server cannot save to its disk", async () => {
    const server = await start();
    const store = await open(server.port);
    await rm(server.folder, { recursive: true });
    const client = plainClient(server.port);
    await client.config("SET", "save", "3600 1000000");
    await client.bgsave();
    const diskFull = { code: "unavailable", message: /cannot save to its disk/ };
    await eventually(async () => assert.rejects(store.set(write("k", "1"), call), diskFull));
    client.disconnect();
  });

  it("says that a script keeps the server busy", async () => {
    const server = await start({ args: ["--lua-time-limit", "50"] });
    const store = await open(server.port);
    const client = plainClient(server.port);
    // A server that is busy greets no new client.
    const killer = plainClient(server.port);
    await killer.ping();
    const endless = client.eval("while true do end", 0).catch((error: Error) => error.message);
    await eventually(async () =>
      assert.rejects(store.set(write("k", "1"), call), { code: "unavailable", message: /busy/ }),
    );
    await eventually(() => killer.script("KILL"));
    await endless;
    killer.disconnect();
    client.disconnect();
    await store.set(write("k", "1"), call);
  });

  it("rejects what is in flight when it is closed, then everything, and closes twice", async () => {
    const server = await start();
    const store = await open(server.port);
    server.pause();
    const sent = Promise.allSettled([store.get("k", read, call), store.set(write("k", "1"), call), store.ping(call)]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const unsent = Promise.allSettled([store.get("k", read, call), store.set(write("k", "1"), call)]);
    await store.close();
    const codes = (await sent).map((outcome) => outcome.status === "rejected" && outcome.reason.code);
    assert.deepEqual(codes, ["closed", "unknown-outcome", "closed"]);
    for (const outcome of await unsent) assert.equal(outcome.status === "rejected" && outcome.reason.code, "closed");
    await store.close();
    await assert.rejects(store.get("k", read, call), { code: "closed" });
    await assert.rejects(store.set(write("k", "1", { strong: true }), call), { code: "closed" });
    await assert.rejects(store.ping(call), { code: "closed" });
  });

  it("stops connecting again when it is closed while the server is down", async () => {
    const { proxy, store } = await throughProxy();
    proxy.mode = "refuse";
    await eventually(async () => assert.rejects(store.ping(call), { code: "unavailable" }));
    await store.close();
    proxy.mode = "pass";
    const before = proxy.accepted;
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(proxy.accepted, before);
  });
});
