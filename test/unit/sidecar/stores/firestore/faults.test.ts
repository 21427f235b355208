// What happens to requests when Datastore or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithDatastore } from "#test/servers/datastore.ts";
import { freePort } from "#test/servers/free-port.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { call, etagOf, onOneServer, openStore, prepare, read, textOf, write } from "./fixture.ts";

describeWithDatastore("a Firestore store in trouble", () => {
  const { server, keep, open } = onOneServer();

  async function throughProxy(): Promise<{ readonly proxy: TcpProxy; readonly store: Store }> {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    return { proxy, store: await open({ endpoint: `127.0.0.1:${proxy.port}`, timeout: "1s" }) };
  }

  async function untilWritten(store: Store, key: string): Promise<void> {
    const end = Date.now() + 10_000;
    while ((await store.set(write(key, "1"), call).catch((error: unknown) => error)) !== undefined) {
      assert.ok(Date.now() < end, "the store does not find back");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  const account = (private_key: string): Record<string, string> => ({
    private_key_id: "k1",
    private_key,
    client_email: "app@test.iam.gserviceaccount.com",
  });

  it("does not open when nobody listens, and says where", async () => {
    const port = await freePort();
    await assert.rejects(openStore({ ...server().metadata, endpoint: `127.0.0.1:${port}` }), {
      name: "StoreError",
      code: "unavailable",
      message: `cannot connect to datastore at 127.0.0.1:${port}: ECONNREFUSED`,
    });
  });

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

  it("signs in at the service only over TLS, and says what is wrong with an emulator there", async () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const given = { ...server().metadata, ...account(pem), endpoint: `https://${server().address}` };
    assert.deepEqual(prepare(given).faults, []);
    await assert.rejects(openStore(given), {
      code: "unavailable",
      message: /check endpoint: it is without https:\/\//,
    });
  });

  it("says that a key which is none cannot be read, and shows nothing of it", async () => {
    const pem = "-----BEGIN PRIVATE KEY-----\\nc2VjcmV0\\n-----END PRIVATE KEY-----";
    const opened = openStore({ ...server().metadata, ...account(pem), endpoint: `https://${server().address}` });
    await assert.rejects(opened, (error: Error) => {
      assert.match(error.message, /^cannot sign in at Google: private_key is no key that can be read$/);
      assert.doesNotMatch(error.message, /c2VjcmV0/);
      return true;
    });
  });

  it("ends a write in time when nothing answers, says that it may have happened, and finds back", async () => {
    const { proxy, store } = await throughProxy();
    proxy.mode = "black-hole";
    await assert.rejects(store.set(write("hole", "1"), call), {
      code: "timeout",
      message: /^no answer from datastore at 127\.0\.0\.1:\d+ in time; the write may have happened$/,
    });
    // Not over the connection in which nothing comes back: that one was given up.
    const before = proxy.accepted;
    await assert.rejects(store.get("hole", read, call), { code: "timeout", message: /in time$/ });
    assert.ok(proxy.accepted > before, "the silent connection is still in use");
    proxy.mode = "pass";
    await untilWritten(store, "hole");
    assert.equal(await textOf(store, "hole"), "1");
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
