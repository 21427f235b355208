// Conditions, expiry and bulk reads on a real server: every rule in which this driver differs from Dapr, and the rest.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import { type Store, StoreError } from "#sidecar/stores/store.ts";
import { describeWithRedis, type RedisServer } from "#test/servers/redis.ts";
import { call, etagOf, onOneServer, openStore, read, removal, textOf, write } from "./fixture.ts";

describeWithRedis("a single write to Redis", () => {
  let server: RedisServer;
  let store: Store;
  let plain: Redis;
  onOneServer((opened) => {
    ({ server, store, plain } = opened);
  });

  it("counts the version from 1 and raises it by one", async () => {
    for (const etag of ["1", "2", "3"]) {
      await store.set(write("k", etag), call);
      assert.equal(await etagOf(store, "k"), etag);
    }
  });

  it("begins again at 1 after a delete", async () => {
    await store.set(write("k", "1"), call);
    await store.set(write("k", "2"), call);
    await store.remove(removal("k"), call);
    await store.set(write("k", "3"), call);
    assert.equal(await etagOf(store, "k"), "1");
  });

  it("takes the right ETag and refuses another one, without writing", async () => {
    await store.set(write("k", "1"), call);
    await store.set(write("k", "2", { etag: "1" }), call);
    const mismatch = { name: "StoreError", code: "etag-mismatch", message: /another etag/ };
    await assert.rejects(store.set(write("k", "3", { etag: "1" }), call), mismatch);
    await assert.rejects(store.remove(removal("k", { etag: "1" }), call), mismatch);
    assert.equal(await textOf(store, "k"), "2");
  });

  it("takes the spellings of one number as the same ETag", async () => {
    await store.set(write("k", "1"), call);
    await store.set(write("k", "2", { etag: "+001" }), call);
    assert.equal(await textOf(store, "k"), "2");
  });

  it("refuses an ETag on a key that is not there, for writes and deletes", async () => {
    for (const etag of ["1", "0"]) {
      const mismatch = { code: "etag-mismatch", message: /no value under the key/ };
      await assert.rejects(store.set(write("k", "1", { etag }), call), mismatch);
      await assert.rejects(store.remove(removal("k", { etag }), call), mismatch);
    }
    assert.equal(await plain.exists("k"), 0);
  });

  it("calls an ETag that is no number invalid, for writes and deletes", async () => {
    await store.set(write("k", "1"), call);
    for (const etag of ["x", "1.0", '"1"', "99999999999999999999"]) {
      await assert.rejects(store.set(write("k", "2", { etag }), call), { code: "etag-invalid" });
      await assert.rejects(store.remove(removal("k", { etag }), call), { code: "etag-invalid" });
    }
    assert.equal(await textOf(store, "k"), "1");
  });

  it("lets first-write create and refuses it where a value is, however that came there", async () => {
    await store.set(write("k", "1", { firstWrite: true }), call);
    await store.set(write("l", "1"), call);
    for (const key of ["k", "l"]) {
      const mismatch = { code: "etag-mismatch", message: /already exists/ };
      await assert.rejects(store.set(write(key, "2", { firstWrite: true }), call), mismatch);
      assert.equal(await textOf(store, key), "1");
    }
  });

  it("lets the ETag alone decide when first-write comes with one", async () => {
    await store.set(write("k", "1"), call);
    await store.set(write("k", "2", { firstWrite: true, etag: "1" }), call);
    assert.equal(await textOf(store, "k"), "2");
  });

  it("writes without a condition over a value that was written first-write", async () => {
    await store.set(write("k", "1", { firstWrite: true }), call);
    await store.set(write("k", "2"), call);
    assert.equal(await textOf(store, "k"), "2");
  });

  it("ignores first-write on a delete", async () => {
    await store.set(write("k", "1"), call);
    await store.remove(removal("k", { firstWrite: true }), call);
    assert.equal(await textOf(store, "k"), null);
  });

  it("deletes what is not there", async () => {
    await store.remove(removal("nothing"), call);
  });

  it("lets one of many concurrent writers with the same ETag through", async () => {
    await store.set(write("k", "0"), call);
    const tries = Array.from({ length: 50 }, (_, index) => store.set(write("k", String(index), { etag: "1" }), call));
    const outcomes = await Promise.allSettled(tries);
    assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
    assert.equal(await etagOf(store, "k"), "2");
  });

  it("sets the expiry in the same step as the value", async () => {
    const before = Date.now();
    await store.set(write("k", "1", { ttlSec: 100 }), call);
    const after = Date.now();
    const expiresAtMs = (await store.get("k", read, call))?.expiresAtMs ?? 0;
    assert.ok(expiresAtMs >= before + 100_000 - 1 && expiresAtMs <= after + 100_000, `${expiresAtMs - before}`);
    assert.equal((await store.get("k", read, call))?.expiresAtMs, expiresAtMs);
    const commands = await commandsOf(() => store.set(write("k", "2", { ttlSec: 50 }), call));
    assert.deepEqual(
      commands.filter((command) => command.from === "client").map((command) => command.name),
      ["evalsha"],
    );
    assert.ok(commands.some((command) => command.from === "script" && command.name.toLowerCase() === "expire"));
  });

  it("removes an expiry when the next write asks for none", async () => {
    await store.set(write("k", "1", { ttlSec: 100 }), call);
    await store.set(write("k", "2"), call);
    assert.equal((await store.get("k", read, call))?.expiresAtMs, null);
    assert.equal(await plain.ttl("k"), -1);
  });

  it("takes the longest TTL there is", async () => {
    await store.set(write("k", "1", { ttlSec: 2_147_483_647 }), call);
    assert.equal(await plain.ttl("k"), 2_147_483_647);
  });

  it("finds nothing under an expired key, and first-write creates there again", async () => {
    await store.set(write("k", "1"), call);
    await plain.pexpireat("k", Date.now() - 1);
    assert.equal(await store.get("k", read, call), null);
    await store.set(write("k", "2", { firstWrite: true }), call);
    assert.equal(await etagOf(store, "k"), "1");
  });

  it("tells the default TTL of the Component, and none for 0 and less", async () => {
    for (const [text, want] of [
      ["60", 60],
      ["0", null],
      ["-1", null],
    ] as const) {
      const other = await openStore({ port: server.port, fields: { ttlInSeconds: text } });
      assert.equal(other.defaultTtlSec, want);
      await other.close();
    }
  });

  it("answers a bulk read in request order, doubles included, with failures in their places", async () => {
    await store.set(write("a", "1"), call);
    await store.set(write("b", "2"), call);
    await plain.rpush("list", "x");
    const answers = (await store.getMany?.(["b", "none", "a", "list", "b"], read, call)) ?? [];
    const shown = answers.map((answer) => {
      if (answer === null) return null;
      return answer instanceof StoreError ? answer.code : Buffer.from(answer.bytes).toString();
    });
    assert.deepEqual(shown, ["2", null, "1", "corrupt", "2"]);
  });

  it("reads a key once in a bulk read that names it often, also when a chunk lies between", async () => {
    const keys = Array.from({ length: 600 }, (_, index) => `k${index}`);
    await store.set(write("k0", "first"), call);
    let answers: readonly unknown[] = [];
    const commands = await commandsOf(async () => {
      answers = (await store.getMany?.([...keys, "k0", "k0", "k599"], read, call)) ?? [];
    });
    assert.equal(commands.filter((command) => command.name === "hmget").length, keys.length);
    assert.equal(answers.length, keys.length + 3);
    const first = { bytes: Buffer.from("first"), etag: "1", expiresAtMs: null };
    assert.deepEqual([answers[0], ...answers.slice(-3)], [first, first, first, null]);
  });

  it("answers a bulk read of several chunks", async () => {
    const keys = Array.from({ length: 1_300 }, (_, index) => `k${index}`);
    await Promise.all(keys.map((key) => store.set(write(key, key), call)));
    const answers = (await store.getMany?.(keys, read, call)) ?? [];
    const values = answers.map((answer) =>
      answer === null || answer instanceof StoreError ? null : Buffer.from(answer.bytes).toString(),
    );
    assert.deepEqual(values, keys);
  });

  it("runs its scripts on a server that has forgotten them", async () => {
    await store.set(write("k", "1"), call);
    await plain.script("FLUSH");
    await store.set(write("k", "2", { etag: "1" }), call);
    assert.equal(await etagOf(store, "k"), "2");
  });

  it("keeps a value of several megabytes", async () => {
    const large = "x".repeat(5_000_000);
    await store.set(write("k", large), call);
    assert.equal(await textOf(store, "k"), large);
  });

  /** What the server ran during `action`, by MONITOR. */
  async function commandsOf(action: () => Promise<void>): Promise<{ from: "client" | "script"; name: string }[]> {
    const monitor = await plain.monitor();
    const seen: { from: "client" | "script"; name: string }[] = [];
    monitor.on("monitor", (_time: string, [name = ""]: string[], source: string) => {
      seen.push({ from: source === "lua" ? "script" : "client", name });
    });
    await action();
    const end = new Promise<void>((resolve) => {
      monitor.on("monitor", (_time: string, [name]: string[]) => name === "echo" && resolve());
    });
    await plain.echo("end");
    await end;
    monitor.disconnect();
    return seen.filter((command) => command.name !== "echo");
  }
});
