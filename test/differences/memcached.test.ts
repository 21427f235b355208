// The rows of docs/differences.md that show on memcached, over HTTP against a real server.
import assert from "node:assert/strict";
import { driver } from "#sidecar/stores/memcached/memcached.ts";
import { describeWithMemcached, type MemcachedServer, startMemcached } from "#test/servers/memcached.ts";
import { ask, save } from "#test/wire/client.ts";
import { tellsExpiry } from "#test/wire/expiry.ts";
import { type Answer, component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithMemcached("differences on memcached", () => {
  let server: MemcachedServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startMemcached();
    const plain = component("plain", "state.memcached", { hosts: server.address });
    const etags = component("etags", "state.memcached", { hosts: server.address, etags: "true" });
    wire = await startWire({ manifests: { "a.yaml": plain, "b.yaml": etags } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  const to = (store: string): string => `/v1.0/state/${store}`;
  const put = async (store: string, item: object): Promise<number> =>
    (await ask(wire, "POST", to(store), [item])).status;
  const get = (store: string, key: string): Promise<Answer> => ask(wire, "GET", `${to(store)}/${key}`);

  it("M20: an ETag and first-write are refused, or they count", async () => {
    await save(wire, "m20", "1", to("plain"));
    const first = { key: "m20", value: 2, options: { concurrency: "first-write" } };
    assert.deepEqual([await put("plain", { key: "m20", value: 2, etag: "1" }), await put("plain", first)], [400, 400]);
    assert.equal((await get("plain", "m20")).headers.etag, undefined);
    const { etag } = (await get("etags", "m20")).headers;
    assert.deepEqual(
      [await put("etags", { key: "m20", value: 2, etag: "999999" }), await put("etags", first)],
      [409, 409],
    );
    assert.equal(await put("etags", { key: "m20", value: 2, etag }), 204);
  });

  it("M21: a read tells when a value expires", async () => {
    const fromMs = Date.now();
    await put("plain", { key: "m21", value: 1, metadata: { ttlInSeconds: "100" } });
    const told = (await get("plain", "m21")).headers["metadata.ttlexpiretime"];
    tellsExpiry(told, { fromMs, untilMs: Date.now(), ttlSec: 100 });
  });

  it("M22: an expiry that memcached cannot keep is refused", async () => {
    assert.equal(await put("plain", { key: "m22", value: 1, metadata: { ttlInSeconds: "2147483647" } }), 400);
    // What it would have made of it: a success, and nothing there.
    assert.equal(await server.raw("set m22 0 3900000000 1\r\n1\r\nget m22\r\n"), "STORED\r\nEND\r\n");
  });

  it("M23: a value does not go before its time", async () => {
    // The server's seconds begin where they like: several writes, of which some would go early by themselves.
    const lives = Array.from({ length: 5 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index * 190));
      const key = `m23-${index}`;
      const fromMs = Date.now();
      await put("plain", { key, value: 1, metadata: { ttlInSeconds: "1" } });
      while ((await get("plain", key)).status === 200) await new Promise((resolve) => setTimeout(resolve, 10));
      return Date.now() - fromMs;
    });
    for (const livedMs of await Promise.all(lives)) assert.ok(livedMs >= 1000, `${livedMs} ms`);
  });

  it("M24: a key may have a space or a control character", async () => {
    for (const key of ["m24 a", "m24\tb", "m24\u007f"]) {
      assert.equal(await put("plain", { key, value: key }), 204);
      assert.equal((await get("plain", encodeURIComponent(key))).text, JSON.stringify(key));
    }
    assert.equal(await put("plain", { key: `m24 ${"k".repeat(190)}`, value: 1 }), 400);
    assert.equal(await put("plain", { key: `m24-${"k".repeat(190)}`, value: 1 }), 204);
  });

  it("M25: the timeout may have a unit", () => {
    const decode = (timeout: string): unknown =>
      driver.decode(
        [
          { name: "hosts", value: "cache", secret: false },
          { name: "timeout", value: timeout, secret: false },
        ],
        [],
      ).fingerprint;
    assert.equal(decode("5s"), decode("5000"));
    assert.notEqual(decode("5s"), null);
  });
});
