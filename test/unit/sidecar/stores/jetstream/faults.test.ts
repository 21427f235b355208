// What happens to requests when a server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { freePort } from "#test/servers/free-port.ts";
import { startImpostor } from "#test/servers/impostor.ts";
import { describeWithNats, type NatsServer, openBucket, startNats } from "#test/servers/nats.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import {
  itLeavesWritesInDoubt,
  itRepeatsReads,
  itSaysWhereNobodyListens,
  itSharesOneConnection,
  type ThroughProxy,
} from "#test/stores/trouble.ts";
import { call, etagOf, eventually, openStore, read, removal, textOf, write } from "./fixture.ts";

describeWithNats("a JetStream store in trouble", () => {
  let server: NatsServer;
  let proxy: TcpProxy;
  let store: Store;
  before(async () => {
    server = await startNats();
    await (await openBucket(server.url, "state")).close();
  });
  after(() => server.stop());
  beforeEach(async () => {
    proxy = await TcpProxy.start(server);
    store = await openStore({ natsURL: `nats://127.0.0.1:${proxy.port}` });
  });
  afterEach(async () => {
    await store.close();
    await proxy.stop();
  });

  const through = (): ThroughProxy => ({ proxy, store });

  itLeavesWritesInDoubt(through, {
    product: "NATS",
    timesOf: async (store, key) => Number(await etagOf(store, key)),
    arrives: true,
  });

  itRepeatsReads(through);

  itSharesOneConnection(through, {
    product: "NATS",
    warning: /^nats server fails .*cannot connect/,
    address: () => `127.0.0.1:${server.port}`,
    open: (addresses, warnings) => openStore({ natsURL: addresses.join(",") }, warnings),
  });

  it("says nothing in the log of a server that it cannot open on, and of one that is away beside another", async () => {
    const away = `nats://127.0.0.1:${await freePort()}`;
    const warnings: string[] = [];
    for (let turn = 0; turn < 2; turn++)
      await assert.rejects(openStore({ natsURL: away }, warnings), { message: /ECONNREFUSED/ });
    assert.deepEqual(warnings, []);
    // Which server is asked first is left to chance.
    await eventually(async () => {
      const beside: string[] = [];
      await (await openStore({ natsURL: `${away},nats://127.0.0.1:${server.port}` }, beside)).close();
      assert.match(beside.join(), /^nats server fails .*ECONNREFUSED/);
    });
  });

  it("ends in time when nothing comes back, takes a new connection, and goes on", async () => {
    await store.set(write("hang", "1"), call);
    const accepted = proxy.accepted;
    proxy.mode = "black-hole";
    await assert.rejects(store.set(write("hang", "2"), call), { code: "timeout", message: /may have happened/ });
    await assert.rejects(textOf(store, "hang"), { code: "unavailable", message: /it said nothing within 2000 ms$/ });
    proxy.mode = "pass";
    await eventually(async () => assert.equal(await textOf(store, "hang"), "1"));
    assert.ok(proxy.accepted > accepted);
  }).timeout(120_000);

  it("sends nothing later of what was asked for while the server was away", async () => {
    await store.set(write("late", "1"), call);
    proxy.mode = "refuse";
    for (let turn = 0; turn < 3; turn++) await assert.rejects(store.set(write("late", `away ${turn}`), call));
    await assert.rejects(store.set(write("late", "away"), call), {
      code: "unavailable",
      message: new RegExp(`^cannot connect to NATS at 127.0.0.1:${proxy.port}`),
    });
    proxy.mode = "pass";
    await store.ping(call);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(await textOf(store, "late"), "1");
  });

  it("says that the bucket is gone, and goes on when it is there again", async () => {
    const bucket = await openBucket(server.url, "passing");
    const passing = await openStore({ natsURL: server.url, bucket: "passing" });
    await passing.set(write("k", "1"), call);
    await bucket.kv.destroy();
    await assert.rejects(passing.set(write("k", "2"), call), { code: "unavailable", message: /the bucket is gone/ });
    await assert.rejects(passing.get("k", { ...read, strong: true }, call), { code: "unavailable" });
    // Whom it would ask for any replica's answer is not there any more, and NATS 2.9 does not say so.
    await assert.rejects(textOf(passing, "k"), ({ code }) => code === "timeout" || code === "unavailable");
    await assert.rejects(passing.ping(call), { code: "unavailable", message: /nats kv add passing/ });
    await (await openBucket(server.url, "passing")).close();
    await eventually(() => passing.set(write("k", "3"), call));
    assert.equal(await textOf(passing, "k"), "3");
    await bucket.close();
    await passing.close();
  }).timeout(120_000);

  it("says so when the bucket is full, and takes writes again when there is room", async () => {
    const bucket = await openBucket(server.url, "small", { max_bytes: 2000, history: 1 });
    const small = await openStore({ natsURL: server.url, bucket: "small" });
    await small.set(write("kept", "1"), call);
    await small.set(write("filler", "x".repeat(1500)), call);
    await assert.rejects(small.set(write("more", "x".repeat(1500)), call), {
      code: "unavailable",
      message: /has no room in the bucket/,
    });
    assert.equal(await textOf(small, "more"), null);
    await small.remove(removal("filler"), call);
    await small.set(write("more", "x".repeat(1500)), call);
    await small.close();
    await bucket.close();
  });

  it("knows the bucket's largest value", async () => {
    const bucket = await openBucket(server.url, "narrow", { maxValueSize: 1000 });
    const narrow = await openStore({ natsURL: server.url, bucket: "narrow" });
    assert.equal(narrow.limits.valueBytesMax, 1000 - 128);
    await narrow.set(write("k", "x".repeat(872), { firstWrite: true }), call);
    await assert.rejects(narrow.set(write("k", "x".repeat(873)), call), { code: "refused" });
    await narrow.close();
    await bucket.close();
  });

  it("warns of a bucket whose values have an age, and refuses a mirror", async () => {
    const bucket = await openBucket(server.url, "ageing", { ttl: 60_000 });
    const mirror = await openBucket(server.url, "mirror", { mirror: { name: "state" } });
    const warnings: string[] = [];
    const ageing = await openStore({ natsURL: server.url, bucket: "ageing" }, warnings);
    assert.match(warnings.join(), /drops values by their age .*"age":"1m"/);
    await assert.rejects(openStore({ natsURL: server.url, bucket: "mirror" }), { message: /is a mirror/ });
    await ageing.close();
    await bucket.close();
    await mirror.close();
  });

  it("does not open where there is no bucket, and says how to make it", async () => {
    await assert.rejects(openStore({ natsURL: server.url, bucket: "nobody" }), {
      code: "unavailable",
      message: `there is no bucket "nobody" at 127.0.0.1:${server.port}; make it with: nats kv add nobody`,
    });
  });
});

describeWithNats("a NATS server without JetStream", () => {
  it("is told", async () => {
    const server = await startNats({ settings: ["jetstream: disabled"] });
    await assert.rejects(openStore({ natsURL: server.url }), { code: "unavailable", message: /JetStream is off/ });
    await server.stop();
  });
});

describe("something else than NATS behind the address", () => {
  itSaysWhereNobodyListens(
    (port) => openStore({ natsURL: `127.0.0.1:${port}` }),
    (port) => `cannot connect to NATS at 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
  );

  for (const [what, greeting, message] of [
    ["a server of another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", /does not speak NATS' protocol/],
    ["a server that says nothing", "", /it said nothing/],
  ] as const) {
    it(`is told: ${what}`, async () => {
      const impostor = await startImpostor({ greeting });
      const opened = openStore({ natsURL: impostor.address });
      await assert.rejects(opened, { name: "StoreError", code: "unavailable", message });
      await impostor.stop();
    });
  }
});
