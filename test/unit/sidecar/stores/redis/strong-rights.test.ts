// Strong writes of an ACL user who may not run INFO or WAIT, with a real replica.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { Log } from "#kit/log.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import {
  call,
  deletion,
  eventually,
  listeningLog,
  onServersOfItsOwn,
  plainClient,
  removal,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

const strong = { strong: true };

describeWithRedis("a strong write to Redis without every right", () => {
  const { start, open, keep } = onServersOfItsOwn();
  let plain: Redis;
  let openAsApp: (strongAcks: string, log?: Log) => Promise<Store>;

  async function withReplica(missing: string): Promise<void> {
    const acl = ["user default on nopass ~* &* +@all", `user app on >s3cret ~* +@all ${missing}`];
    const master = await start({ acl });
    await start({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
    const client = plainClient(master.port);
    plain = keep(client, async () => client.disconnect());
    await eventually(async () => assert.match(await plain.info("replication"), /state=online/));
    openAsApp = (strongAcks, log) =>
      open(master.port, { redisUsername: "app", redisPassword: "s3cret", strongAcks }, log);
  }

  async function calls(command: string): Promise<number> {
    const stats = await plain.info("commandstats");
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? "0");
  }

  const without = [
    { command: "info", missing: "-info" },
    { command: "wait", missing: "-wait" },
  ];
  for (const { command, missing } of without) {
    it(`goes ahead without waiting where ${command.toUpperCase()} is forbidden, and warns once`, async () => {
      await withReplica(missing);
      const log = listeningLog();
      const store = await openAsApp("connected", log);
      await store.set(write("k", "1", strong), call);
      await store.remove(removal("k", { ...strong, etag: "1" }), call);
      await store.transact?.([upsert("k", "2", strong), deletion("l", strong)], call);
      // The belief that nobody can be counted runs out after a second; then another strong write looks again.
      const refusals = async (): Promise<number> =>
        Number(
          new RegExp(`cmdstat_${command}:.*rejected_calls=(\\d+)`).exec(await plain.info("commandstats"))?.[1] ?? "0",
        );
      assert.equal(await refusals(), 1);
      await eventually(async () => {
        await store.set(write("k", "3", strong), call);
        assert.ok((await refusals()) > 1);
      });
      assert.equal(await textOf(store, "k"), "3");
      assert.equal(log.warnings.length, 1);
      assert.match(log.warnings[0] ?? "", new RegExp(`do not wait for replicas.*'${command}'`));
    });
  }

  it("waits for the replicas once the right is granted", async () => {
    await withReplica("-info");
    const store = await openAsApp("connected");
    await store.set(write("k", "1", strong), call);
    await plain.call("ACL", "SETUSER", "app", "+info");
    const before = await calls("wait");
    await eventually(async () => {
      await store.set(write("k", "2", strong), call);
      assert.ok((await calls("wait")) > before);
    });
  });

  it("writes nothing where strongAcks is a number and WAIT is forbidden, until the right is granted", async () => {
    await withReplica("-wait");
    const store = await openAsApp("1");
    const refused = { name: "StoreError", code: "unavailable", message: /ACL user run the command 'wait'/ };
    await assert.rejects(store.set(write("k", "1", strong), call), refused);
    await assert.rejects(store.transact?.([upsert("k", "1", strong)], call) ?? Promise.resolve(), refused);
    assert.equal(await plain.exists("k"), 0);
    await plain.call("ACL", "SETUSER", "app", "+wait");
    await store.set(write("k", "2", strong), call);
    await assert.rejects(store.set(write("k", "3", { ...strong, etag: "9" }), call), { code: "etag-mismatch" });
  });

  it("needs no INFO where strongAcks is a number", async () => {
    await withReplica("-info");
    const log = listeningLog();
    const store = await openAsApp("1", log);
    await store.set(write("k", "1", strong), call);
    assert.ok((await calls("wait")) > 0);
    assert.deepEqual(log.warnings, []);
  });

  it("says that it was applied and which right is missing when WAIT is forbidden meanwhile, then refuses before writing", async () => {
    await withReplica("");
    const store = await openAsApp("1");
    await store.set(write("k", "1", strong), call);
    await plain.call("ACL", "SETUSER", "app", "-wait");
    const applied = { code: "unknown-outcome", message: /was applied.*the command 'wait'.*may be lost/ };
    await assert.rejects(store.set(write("k", "2", strong), call), applied);
    assert.equal(await textOf(store, "k"), "2");
    await assert.rejects(store.set(write("k", "3", strong), call), { code: "unavailable", message: /'wait'/ });
    assert.equal(await textOf(store, "k"), "2");
  });
});
