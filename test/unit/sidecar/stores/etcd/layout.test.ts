// The bytes in etcd, both ways: what this driver writes, looked at through etcd's own gateway, and what Dapr writes, read
// here.
import assert from "node:assert/strict";
import { describeWithEtcd } from "#test/servers/etcd.ts";
import {
  call,
  eventually,
  onOneServer,
  rawGet,
  rawLease,
  rawLeases,
  rawPut,
  read,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

/** `data` = "hi" in quotes, `ts` = 2023-11-14T22:13:20.5Z, `ttl` of 0 s, as Dapr writes a value without a TTL. */
const DAPR_ROW = "0a0422686922120c0880e2cfaa061080cab5ee011a00";
/** The same with `ttl` of an hour. */
const DAPR_HOUR = "0a0422686922120c0880e2cfaa061080cab5ee011a0308901c";
const TS_MS = 1_700_000_000_500;

describeWithEtcd("the layout of state.etcd v1", () => {
  const { server, open } = onOneServer();

  it("keeps the bytes under the path, a slash and the key", async () => {
    const store = await open("v1", { keyPrefixPath: "dapr" });
    await store.set(write("app||k", '{"b":1, "a":2}'), call);
    assert.deepEqual((await rawGet(server(), "dapr/app||k"))?.value.toString(), '{"b":1, "a":2}');
  });

  it("keeps the slash without a path", async () => {
    const store = await open("v1");
    await store.set(write("app||bare", "1"), call);
    assert.equal((await rawGet(server(), "/app||bare"))?.value.toString(), "1");
  });

  it("reads, compares and replaces what Dapr has written", async () => {
    const store = await open("v1", { keyPrefixPath: "dapr" });
    await rawPut(server(), "dapr/theirs", '"hi"');
    const found = await store.get("theirs", read, call);
    assert.deepEqual([await textOf(store, "theirs"), found?.expiresAtMs], ['"hi"', null]);
    assert.equal(found?.etag, (await rawGet(server(), "dapr/theirs"))?.modRevision);
    await store.set(write("theirs", "2", { etag: found?.etag ?? "" }), call);
    assert.equal((await rawGet(server(), "dapr/theirs"))?.value.toString(), "2");
  });

  it("tells by the lease when a value of Dapr's expires", async () => {
    const store = await open("v1");
    await rawPut(server(), "/leased", "1", await rawLease(server(), 3600));
    const expiresAtMs = (await store.get("leased", read, call))?.expiresAtMs ?? 0;
    assert.ok(Math.abs(expiresAtMs - Date.now() - 3_600_000) < 15_000, String(expiresAtMs));
  });

  it("hangs a value on a lease of its TTL, and takes it off with a write without one", async () => {
    const store = await open("v1");
    await store.set(write("ttl", "1", { ttlSec: 100 }), call);
    const lease = (await rawGet(server(), "/ttl"))?.lease ?? "0";
    const { grantedTTL } = await server().gateway("/v3/lease/timetolive", { ID: lease });
    assert.equal(grantedTTL, "100");
    await store.set(write("ttl", "2"), call);
    assert.equal((await rawGet(server(), "/ttl"))?.lease, "0");
  });

  it("gives a lease back when the write is refused", async () => {
    const store = await open("v1");
    await store.set(write("taken", "1"), call);
    const before = await rawLeases(server());
    const change = write("taken", "2", { ttlSec: 1000, firstWrite: true });
    await assert.rejects(store.set(change, call), { code: "etag-mismatch" });
    assert.deepEqual(await rawLeases(server()), before);
  });

  it("takes one lease for all values of a transaction with the same TTL", async () => {
    const store = await open("v1");
    const changes = ["a", "b", "c"].map((key, index) => upsert(`one-${key}`, "1", { ttlSec: index < 2 ? 500 : 600 }));
    await store.transact?.(changes, call);
    const leases = await Promise.all(
      ["a", "b", "c"].map(async (key) => (await rawGet(server(), `/one-${key}`))?.lease),
    );
    assert.equal(leases[0], leases[1]);
    assert.notEqual(leases[0], leases[2]);
  });

  it("lets a value go with the lease that Dapr gave it", async () => {
    const store = await open("v1");
    const lease = await rawLease(server(), 2);
    await rawPut(server(), "/ends", "1", lease);
    await eventually(async () => assert.equal(await store.get("ends", read, call), null));
  });
});

describeWithEtcd("the layout of state.etcd v2", () => {
  const { server, open } = onOneServer();

  it("keeps a message of data, time and TTL", async () => {
    const store = await open("v2", { keyPrefixPath: "dapr" });
    const fromMs = Date.now();
    await store.set(write("app||k", '"hi"'), call);
    const hex = (await rawGet(server(), "dapr/app||k"))?.value.toString("hex") ?? "";
    const parts = /^0a042268692212(..)08(..........)(?:10(.+))?1a00$/.exec(hex);
    assert.ok(parts !== null, hex);
    const seconds = Number(BigInt(Math.floor(fromMs / 1000)));
    assert.ok([seconds, seconds + 1].map(varint).includes(parts[2] ?? ""), hex);
    await store.set(write("app||k", '"hi"', { ttlSec: 3600 }), call);
    assert.match((await rawGet(server(), "dapr/app||k"))?.value.toString("hex") ?? "", /1a0308901c$/);
  });

  it("reads what Dapr has written, and tells an expiry only where there is a lease", async () => {
    const store = await open("v2");
    await rawPut(server(), "/plain", Buffer.from(DAPR_ROW, "hex"));
    const plain = await store.get("plain", read, call);
    assert.deepEqual([await textOf(store, "plain"), plain?.expiresAtMs], ['"hi"', null]);
    await rawPut(server(), "/hour", Buffer.from(DAPR_HOUR, "hex"), await rawLease(server(), 3600));
    assert.equal((await store.get("hour", read, call))?.expiresAtMs, TS_MS + 3_600_000);
    await rawPut(server(), "/free", Buffer.from(DAPR_HOUR, "hex"));
    assert.equal((await store.get("free", read, call))?.expiresAtMs, null);
  });

  for (const [what, value] of [
    ["JSON", '{"a":1}'],
    ["a number", "123456789"],
    ["nothing", ""],
    ["a text in quotes", '"hello"'],
    ["a message that is cut off", Buffer.from(DAPR_ROW, "hex").subarray(0, 9)],
  ] as const) {
    it(`calls ${what} under a key corrupt, and tells the others`, async () => {
      const store = await open("v2", { keyPrefixPath: "mixed" });
      await rawPut(server(), "mixed/app||bad", value);
      await store.set(write("app||good", "1"), call);
      await assert.rejects(store.get("app||bad", read, call), { code: "corrupt" });
      const [bad, good] = (await store.getMany?.(["app||bad", "app||good"], read, call)) ?? [];
      assert.ok(bad instanceof Error && good !== null && !(good instanceof Error));
      const page = await store.list?.(
        { range: { scope: "app||", start: "app||" }, after: null, limit: 10, values: false },
        call,
      );
      assert.deepEqual(
        page?.rows.map(({ key }) => key),
        ["app||good"],
      );
    });
  }
});

function varint(value: number): string {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
  return Buffer.from(bytes).toString("hex");
}
