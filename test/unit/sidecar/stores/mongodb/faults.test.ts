// What happens to requests when a server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import { describeWithMongodb } from "#test/servers/mongodb.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { itRepeatsReads, itSaysWhereNobodyListens, type ThroughProxy } from "#test/stores/trouble.ts";
import { call, eventually, onOneServer, openStore, read, removal, textOf, write } from "./fixture.ts";

describeWithMongodb("a MongoDB store in trouble", () => {
  const { server, keep, open } = onOneServer();

  async function throughProxy(): Promise<ThroughProxy> {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    const store = await open({ host: `127.0.0.1:${proxy.port}`, operationTimeout: "4s" });
    return { proxy, store };
  }

  itSaysWhereNobodyListens(
    (port) => openStore({ fields: { host: `127.0.0.1:${port}`, operationTimeout: "4s" } }),
    (port) => `cannot connect to mongodb at 127.0.0.1:${port}: ECONNREFUSED`,
  );

  it("does not open on a server that hangs, and ends when its time is up", async () => {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    proxy.mode = "black-hole";
    const opened = openStore({ fields: { host: `127.0.0.1:${proxy.port}` }, signal: AbortSignal.timeout(200) });
    await assert.rejects(opened, { code: "timeout" });
  });

  it("says that a write may have happened when the connection breaks behind it, and does not repeat it", async () => {
    const { proxy, store } = await throughProxy();
    await store.set(write("cut", "1"), call);
    const etag = (await store.get("cut", read, call))?.etag ?? null;
    proxy.mode = "cut-after-request";
    const lost = {
      code: "unknown-outcome",
      message: `lost the connection to mongodb at 127.0.0.1:${proxy.port}; the write may have happened`,
    };
    await assert.rejects(store.set(write("cut", "2", { etag }), call), lost);
    proxy.mode = "pass";
    await eventually(async () => assert.equal(await textOf(store, "cut"), "2"));
  });

  itRepeatsReads(throughProxy);

  it("ends in time when nothing comes back, and goes on", async () => {
    const { proxy, store } = await throughProxy();
    await store.set(write("hang", "1"), call);
    proxy.mode = "black-hole";
    const silent = `no answer from mongodb at 127.0.0.1:${proxy.port} within operationTimeout`;
    await assert.rejects(store.set(write("hang", "2"), call), {
      code: "timeout",
      message: `${silent}; the write may have happened`,
    });
    // The connection that hung is given up, and no other one can be made.
    await assert.rejects(store.get("hang", read, call), {
      code: "unavailable",
      message: `no connection to mongodb at 127.0.0.1:${proxy.port} became free in time: it hangs, or maxPoolSize in params is too small`,
    });
    proxy.mode = "pass";
    proxy.cut();
    await eventually(async () => assert.equal(await textOf(store, "hang"), "1"));
  });

  it("says that nothing was written when no server is there", async () => {
    const { proxy, store } = await throughProxy();
    await store.set(write("refused", "1"), call);
    proxy.mode = "refuse";
    // The connections that broke may have carried a write; a new one cannot be made.
    await eventually(() =>
      assert.rejects(store.set(write("refused", "2"), call), {
        code: "unavailable",
        message: /^cannot connect to mongodb at/,
      }),
    );
    proxy.mode = "pass";
    await eventually(async () => assert.equal(await textOf(store, "refused"), "1"));
  });

  it("refuses a value that no document holds, before it is sent", async () => {
    const store = await open();
    const large = `"${"x".repeat(16 * 1024 * 1024)}"`;
    await assert.rejects(store.set(write("large", large), call), { code: "refused", message: /what a document holds/ });
    assert.equal(await textOf(store, "large"), null);
  });

  it("takes no key with half a character, and says so for its own key in bulk", async () => {
    const store = await open();
    await store.set(write("whole", "1"), call);
    const refused = { code: "refused", message: /surrogate/ };
    await assert.rejects(store.get("\ud800", read, call), refused);
    await assert.rejects(store.set(write("\ud800", "1"), call), refused);
    await assert.rejects(store.remove(removal("\ud800"), call), refused);
    const [half, whole] = (await store.getMany?.(["\ud800", "whole"], read, call)) ?? [];
    assert.ok(half instanceof Error && whole !== null && !(whole instanceof Error));
  });

  it("reads many keys in lists that a command holds", async () => {
    const store = await open();
    const keys = Array.from({ length: 2500 }, (_, index) => `many-${index}-${"k".repeat(1000)}`);
    for (const key of [keys[0], keys[1200], keys[2499]]) await store.set(write(key ?? "", "1"), call);
    const rows = (await store.getMany?.(keys, read, call)) ?? [];
    const found = rows.flatMap((row, index) => (row === null ? [] : [index]));
    assert.deepEqual(found, [0, 1200, 2499]);
  });
});
