// What happens to requests when Spanner or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import { Calls } from "#sidecar/stores/spanner/calls.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { describeWithSpanner } from "#test/servers/spanner.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import type { ThroughProxy } from "#test/stores/trouble.ts";
import { itDoesAsGooglesDo, untilWritten } from "../google/trouble.ts";
import { call, onOneServer, openStore, prepare, read, textOf, write } from "./fixture.ts";

describeWithSpanner("a Spanner store in trouble", () => {
  const { server, second, keep, open, over } = onOneServer();

  async function throughProxy(): Promise<ThroughProxy> {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    return { proxy, store: await open({ endpoint: `127.0.0.1:${proxy.port}`, timeout: "4s" }) };
  }

  itDoesAsGooglesDo({ product: "spanner", server, prepare, openStore, throughProxy });

  it("does not open on a database that is not there, and says which", async () => {
    await assert.rejects(openStore({ ...server().metadata, database_id: "other" }), {
      code: "unavailable",
      message:
        /^spanner at .* has no projects\/test\/instances\/test\/databases\/other: make it, or check project_id, instance_id/,
    });
  });

  it("does not open on a table that lacks a column, and says where the layout is", async () => {
    await second().ddl("CREATE TABLE narrow (key STRING(MAX) NOT NULL, value BYTES(MAX)) PRIMARY KEY (key)");
    await assert.rejects(openStore({ ...server().metadata, tableName: "narrow" }), {
      code: "failed",
      message: /lacks a column in the table narrow; see Layout in docs\/stores\/gcp\.spanner\.md$/,
    });
  });

  it("says of a row without a value that it is none, and reads the others", async () => {
    await second().ddl(
      "CREATE TABLE loose (key STRING(MAX), value BYTES(MAX), version STRING(MAX), expiry TIMESTAMP) PRIMARY KEY (key)",
    );
    const store = await open({ tableName: "loose" });
    await store.set(write("app||a", "1"), call);
    const rows = [
      ["app||b", null, "theirs", null],
      ["app||c", "Mg==", null, null],
    ];
    await second().put("loose", ["key", "value", "version", "expiry"], rows);
    await assert.rejects(store.get("app||b", read, call), { code: "corrupt", message: /a row has no value/ });
    const [a, b, c] = (await store.getMany?.(["app||a", "app||b", "app||c"], read, call)) ?? [];
    assert.ok(a !== null && !(a instanceof StoreError) && c !== null && !(c instanceof StoreError));
    assert.deepEqual([b instanceof StoreError, typeof a?.etag, c?.etag], [true, "string", null]);
    const range = { scope: "app||", start: "app||" };
    const page = await store.list?.({ range, after: null, limit: 10, values: true }, call);
    assert.deepEqual(
      page?.rows.map(({ key }) => key),
      ["app||a", "app||c"],
    );
  });

  it("gives up a silent connection once, and not the one that came after it", async () => {
    const { proxy, store } = await throughProxy();
    await store.set(write("once", "1"), call);
    proxy.mode = "black-hole";
    const early = assert.rejects(store.get("once", read, call), { code: "timeout" });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const later = assert.rejects(store.get("once", read, call), { code: "timeout" });
    await early;
    proxy.mode = "pass";
    await untilWritten(store, "once");
    const before = proxy.accepted;
    await later;
    assert.equal(await textOf(store, "once"), "1");
    assert.equal(proxy.accepted, before, "a connection that answers was given up");
  });

  it("refuses a key that is no text, which UTF-8 would turn into another one", async () => {
    const store = await open();
    await store.set(write("half\u{fffd}", "theirs"), call);
    const key = "half\ud800";
    for (const attempt of [
      () => store.set(write(key, "ours"), call),
      () => store.remove({ key, etag: null, firstWrite: false, strong: false, metadata: {} }, call),
      () => store.get(key, read, call),
    ])
      await assert.rejects(attempt(), { code: "refused", message: /half a surrogate pair/ });
    const [refused, found] = (await store.getMany?.([key, "half\u{fffd}"], read, call)) ?? [];
    assert.ok(refused instanceof StoreError && found !== null && !(found instanceof StoreError));
    assert.equal(await textOf(store, "half\u{fffd}"), "theirs");
  });

  it("repeats a read whose connection breaks, and says what is open of a write", async () => {
    const { proxy, store } = await throughProxy();
    await store.set(write("cut", "1"), call);
    proxy.cut();
    assert.equal(await textOf(store, "cut"), "1");
    proxy.mode = "cut-after-request";
    await assert.rejects(store.set(write("cut", "2"), call), { code: "unknown-outcome" });
    proxy.mode = "pass";
    await untilWritten(store, "after");
    // Cut in its middle the request may have come or not: that is why it is open.
    assert.match((await textOf(store, "cut")) ?? "", /^[12]$/);
  });

  it("refuses at once while nobody listens, and works when the server is back, in a new session", async () => {
    const store = await open();
    await store.set(write("before", "1", { ttlSec: 1000 }), call);
    const { expiresAtMs } = (await store.get("before", read, call)) ?? {};
    await server().kill9();
    await assert.rejects(store.set(write("during", "1"), call), { code: /unavailable|unknown-outcome/ });
    await assert.rejects(store.set(write("during", "1"), call), {
      code: "unavailable",
      message: /^cannot connect to spanner at 127\.0\.0\.1:\d+: ECONN/,
    });
    await server().restart();
    await untilWritten(store, "after");
    assert.equal(await textOf(store, "before"), "1");
    assert.equal((await store.get("before", read, call))?.expiresAtMs, expiresAtMs);
    assert.equal(await textOf(store, "during"), null);
  });

  it("does not let one caller who leaves end the session that others wait for", async () => {
    await open();
    const store = over((options) => new Calls(options));
    const leaving = new AbortController();
    const left = store.get("any", read, { signal: leaving.signal });
    const stays = textOf(store, "any");
    leaving.abort();
    await assert.rejects(left, { code: "timeout", message: /the caller left/ });
    assert.equal(await stays, null);
  });
});
