// What happens to requests when a server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Store } from "#sidecar/stores/store.ts";
import { startImpostor } from "#test/servers/impostor.ts";
import { describeWithMemcached, type MemcachedServer, startMemcached } from "#test/servers/memcached.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import {
  itLeavesWritesInDoubt,
  itRepeatsReads,
  itSaysWhereNobodyListens,
  type ThroughProxy,
} from "#test/stores/trouble.ts";
import { call, etagOf, openStore, textOf, write } from "./fixture.ts";

describeWithMemcached("a memcached store in trouble", () => {
  let server: MemcachedServer;
  let proxy: TcpProxy;
  let store: Store;
  beforeEach(async () => {
    server = await startMemcached();
    proxy = await TcpProxy.start(server);
    store = await openStore({ hosts: `127.0.0.1:${proxy.port}`, timeout: "2000", etags: "true" });
  });
  afterEach(async () => {
    await store.close();
    await proxy.stop();
    await server.stop();
  });

  const through = (): ThroughProxy => ({ proxy, store });

  itLeavesWritesInDoubt(through, {
    product: "memcached",
    timesOf: async (store, key) => Number(await etagOf(store, key)),
    arrives: true,
  });

  itRepeatsReads(through);

  it("ends in time when nothing comes back, takes a new connection, and goes on", async () => {
    await store.set(write("k", "1"), call);
    proxy.mode = "black-hole";
    const reading = assert.rejects(textOf(store, "k"), { code: "timeout", message: /within timeout$/ });
    await assert.rejects(store.set(write("k", "2"), call), { code: "timeout", message: /may have happened/ });
    await reading;
    proxy.mode = "pass";
    assert.equal(await textOf(store, "k"), "1");
  });

  it("fails at once while the server is down, and says where", async () => {
    await server.kill9();
    proxy.cut();
    proxy.mode = "refuse";
    await assert.rejects(store.set(write("k", "1"), call), {
      message: new RegExp(`memcached at 127.0.0.1:${proxy.port}`),
    });
    await server.restart();
    proxy.mode = "pass";
    await store.set(write("k", "2"), call);
    assert.equal(await textOf(store, "k"), "2");
  });

  it("answers for the keys of the other servers while one is away", async () => {
    const other = await startMemcached();
    const both = await openStore({ hosts: `${server.address},${other.address}` });
    try {
      await other.kill9();
      const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
      const outcomes = await Promise.allSettled(keys.map((key) => both.set(write(key, "1"), call)));
      const statuses = outcomes.map(({ status }) => status);
      assert.ok(statuses.includes("fulfilled") && statuses.includes("rejected"));
      await assert.rejects(both.ping(call), { message: new RegExp(other.address) });
    } finally {
      await both.close();
      await other.stop();
    }
  });

  itSaysWhereNobodyListens(
    (port) => openStore({ hosts: `127.0.0.1:${port}` }),
    (port) => new RegExp(`^cannot connect to memcached at 127.0.0.1:${port}: .*ECONNREFUSED`),
  );

  it("does not open on a server that wants a password", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-memcached-"));
    await chmod(folder, 0o755);
    await writeFile(join(folder, "users"), "app:s3cr3t\n");
    const guarded = await startMemcached(["-Y", join(folder, "users")]);
    await assert.rejects(openStore({ hosts: guarded.address }), { code: "unavailable", message: /wants a user/ });
    await guarded.stop();
    await rm(folder, { recursive: true });
  });

  it("refuses a value that the server finds too large, and writes nothing", async () => {
    const small = await startMemcached(["-I", "512k"]);
    const narrow = await openStore({ hosts: small.address });
    assert.equal(narrow.limits.valueBytesMax, 512 * 1024 - 512);
    await narrow.set(write("k", "x".repeat(512 * 1024 - 512)), call);
    await assert.rejects(narrow.set(write("l", "x".repeat(512 * 1024 - 511)), call), { code: "refused" });
    assert.equal(await textOf(narrow, "l"), null);
    await narrow.close();
    await small.stop();
  });

  it("says so when the memory is full and nothing is thrown away", async () => {
    const full = await startMemcached(["-M", "-m", "2"]);
    const crammed = await openStore({ hosts: full.address });
    const fill = async (): Promise<void> => {
      for (let index = 0; index < 100; index++) await crammed.set(write(`k${index}`, "x".repeat(500_000)), call);
    };
    await assert.rejects(fill(), { code: "unavailable", message: /out of memory/ });
    await crammed.close();
    await full.stop();
  });
});

describe("something else than memcached behind the address", () => {
  for (const [what, answer, message] of [
    ["an older memcached", "VERSION 1.5.22\r\n", /is version 1\.5\.22, want 1\.6\.10 or later/],
    ["a server that knows no version", "ERROR\r\n", /refused the command/],
    ["a server that answers something else", "HD\r\n", /does not speak memcached's protocol/],
    ["a server of another protocol", "x".repeat(5000), /does not speak memcached's protocol/],
  ] as const) {
    it(`is told: ${what}`, async () => {
      const impostor = await startImpostor({ answer });
      await assert.rejects(openStore({ hosts: impostor.address }), { name: "StoreError", message });
      await impostor.stop();
    });
  }
});
