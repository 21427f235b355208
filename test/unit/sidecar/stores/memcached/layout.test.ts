// The items in memcached, both ways: what this driver writes, asked for with the commands of Dapr's client, and the other
// way round.
import assert from "node:assert/strict";
import type { Clock } from "#kit/clock.ts";
import { systemClock } from "#kit/clock.ts";
import { placeOf } from "#sidecar/stores/memcached/hosts.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithMemcached, type MemcachedServer, startMemcached } from "#test/servers/memcached.ts";
import { call, openStore, read, removal, textOf, write } from "./fixture.ts";

describeWithMemcached("the layout in memcached", () => {
  let server: MemcachedServer;
  let store: Store;
  before(async () => {
    server = await startMemcached();
    store = await openStore({ hosts: server.address });
  });
  after(async () => {
    await store.close();
    await server.stop();
  });

  it("is the value's bytes under the key, with flags 0", async () => {
    await store.set(write("app||k", '{"b":1, "a":2}'), call);
    assert.equal(await server.raw("get app||k\r\n"), 'VALUE app||k 0 14\r\n{"b":1, "a":2}\r\nEND\r\n');
  });

  it("is read as Dapr's client writes it, whatever its flags", async () => {
    await server.raw('set app||theirs 5 0 4\r\n"hi"\r\n');
    const found = await store.get("app||theirs", read, call);
    assert.deepEqual([await textOf(store, "app||theirs"), found?.etag, found?.expiresAtMs], ['"hi"', null, null]);
    await server.raw("set app||expires 0 100 1\r\n1\r\n");
    const expiresAtMs = (await store.get("app||expires", read, call))?.expiresAtMs ?? 0;
    assert.ok(Math.abs(expiresAtMs - Date.now() - 100_000) < 10_000, String(expiresAtMs));
  });

  it("loses what Dapr's client deletes, and the other way round", async () => {
    await store.set(write("app||gone", "1"), call);
    assert.equal(await server.raw("delete app||gone\r\n"), "DELETED\r\n");
    assert.equal(await textOf(store, "app||gone"), null);
    await server.raw("set app||gone 0 0 1\r\n1\r\n");
    await store.remove(removal("app||gone"), call);
    assert.equal(await server.raw("get app||gone\r\n"), "END\r\n");
  });

  it("has seconds up to thirty days, and the hour beyond", async () => {
    for (const ttlSec of [10, 2_591_998, 2_591_999, 2_592_000, 100_000_000]) {
      await store.set(write("app||ttl", "1", { ttlSec }), call);
      const left = Number(/ t(\d+)/.exec(await server.raw("mg app||ttl t\r\n"))?.[1]);
      assert.ok(Math.abs(left - ttlSec) <= 2, `${left} of ${ttlSec}`);
    }
  });

  it("refuses an expiry that memcached would take for one that is over", async () => {
    const at = Date.parse("2038-01-19T03:00:00Z");
    const late: Clock = { ...systemClock, nowMs: () => at };
    const lateStore = await openStore({ hosts: server.address }, late);
    await assert.rejects(lateStore.set(write("app||late", "1", { ttlSec: 3_000_000 }), call), {
      code: "refused",
      message: /no value beyond 2038-01-19/,
    });
    await lateStore.close();
  });
});

describeWithMemcached("keys over several servers", () => {
  it("lie where Dapr's client looks for them, in the order of the manifest", async () => {
    const servers = await Promise.all([startMemcached(), startMemcached(), startMemcached()]);
    const store = await openStore({ hosts: servers.map(({ address }) => address).join(",") });
    const places = new Set<number>();
    for (let index = 0; index < 30; index++) {
      const key = `app||${index}`;
      const place = placeOf(Buffer.from(key), 3);
      places.add(place);
      await store.set(write(key, "1"), call);
      const has = await Promise.all(
        servers.map(async (server) => (await server.raw(`get ${key}\r\n`)).startsWith("VALUE")),
      );
      assert.deepEqual(
        has,
        [0, 1, 2].map((each) => each === place),
      );
    }
    assert.equal(places.size, 3);
    await store.close();
    await Promise.all(servers.map((server) => server.stop()));
  });
});
