// The nodes in ZooKeeper, both ways: what this driver writes, asked for with ZooKeeper's own client, and the other way
// round. And nodes that only stand above others.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithZooKeeper, startZooKeeper, type ZooKeeperServer } from "#test/servers/zookeeper.ts";
import { call, deletion, etagOf, openStore, read, removal, textOf, upsert, write } from "./fixture.ts";

describeWithZooKeeper("the layout in ZooKeeper", () => {
  let server: ZooKeeperServer;
  let store: Store;
  before(async function () {
    this.timeout(120_000);
    server = await startZooKeeper();
    store = await openStore({ servers: server.address, keyPrefixPath: "/dapr" });
  });
  after(async () => {
    await store.close();
    await server.stop();
  });

  const cli = (...commands: string[]): Promise<readonly string[]> => server.cli(commands);
  const tree = async (): Promise<readonly string[]> => (await cli("ls -R /dapr")).toSorted();

  it("is the value's bytes in the node of the key, open to all", async () => {
    await store.set(write("app||k", '{"b":1, "a":2}'), call);
    assert.deepEqual(await cli("get /dapr/app||k"), ['{"b":1, "a":2}']);
    assert.deepEqual(await cli("getAcl /dapr/app||k"), ["'world,'anyone", ": cdrwa"]);
  });

  it("is read as Dapr's driver lays it out, updated in place, and deleted", async () => {
    await cli("create /dapr/app||theirs '\"hi\"'");
    assert.equal(await textOf(store, "app||theirs"), '"hi"');
    const etag = await etagOf(store, "app||theirs");
    await store.set(write("app||theirs", '"ho"', { etag }), call);
    const lines = await cli("get -s /dapr/app||theirs", "set /dapr/app||theirs '\"he\"'");
    assert.ok(lines.includes('"ho"') && lines.includes("dataVersion = 1"), lines.join("\n"));
    assert.equal(await textOf(store, "app||theirs"), '"he"');
    await store.remove(removal("app||theirs"), call);
    assert.match((await cli("get /dapr/app||theirs")).join(), /Node does not exist/);
  });

  it("sees what Dapr's driver deletes and makes again, and refuses the ETag of before", async () => {
    await store.set(write("app||again", "1"), call);
    const etag = await etagOf(store, "app||again");
    await cli("delete /dapr/app||again", "create /dapr/app||again 2");
    assert.match(await etagOf(store, "app||again"), /^0-/);
    for (const attempt of [
      store.set(write("app||again", "3", { etag }), call),
      store.remove(removal("app||again", { etag }), call),
      store.transact?.([upsert("app||again", "3", { etag })], call),
    ])
      await assert.rejects(async () => attempt, { code: "etag-mismatch" });
    assert.equal(await textOf(store, "app||again"), "2");
  });

  it("takes the slashes of a key for levels, and leaves none of them behind", async () => {
    const before = await tree();
    await store.set(write("app||a/b/c", "1"), call);
    assert.deepEqual(await cli("get /dapr/app||a/b/c"), ["1"]);
    assert.deepEqual([await textOf(store, "app||a"), await textOf(store, "app||a/b")], [null, null]);
    await store.set(write("app||a", "top", { firstWrite: true }), call);
    await store.remove(removal("app||a/b/c"), call);
    assert.deepEqual(await tree(), [...before, "/dapr/app||a"].toSorted());
    await store.remove(removal("app||a"), call);
    assert.deepEqual(await tree(), before);
  });

  it("takes a value from a node that stands above others, and gives it back", async () => {
    await store.transact?.([upsert("app||x", "above"), upsert("app||x/y", "below")], call);
    const etag = await etagOf(store, "app||x");
    await store.remove(removal("app||x", { etag }), call);
    assert.deepEqual([await textOf(store, "app||x"), await textOf(store, "app||x/y")], [null, "below"]);
    await assert.rejects(store.set(write("app||x", "late", { etag }), call), { code: "etag-mismatch" });
    await store.remove(removal("app||x"), call);
    assert.equal(await textOf(store, "app||x/y"), "below");
    await store.transact?.([upsert("app||x", "1", { firstWrite: true }), deletion("app||x/z")], call);
    const both = [deletion("app||x", { etag: await etagOf(store, "app||x") }), deletion("app||x/y")];
    await store.transact?.(both, call);
    assert.ok(!(await tree()).some((path) => path.includes("app||x")));
  });

  it("gives a value's node to others in one transaction, in whatever order it is asked for", async () => {
    const [above, below] = [deletion("app||turn"), upsert("app||turn/below", "2")];
    for (const changes of [
      [above, below],
      [below, above],
    ]) {
      await store.set(write("app||turn", "1"), call);
      await store.transact?.(changes, call);
      assert.deepEqual([await textOf(store, "app||turn"), await textOf(store, "app||turn/below")], [null, "2"]);
      await store.transact?.([deletion("app||turn/below"), upsert("app||turn", "3")], call);
      assert.deepEqual([await textOf(store, "app||turn"), await textOf(store, "app||turn/below")], ["3", null]);
    }
    await store.remove(removal("app||turn"), call);
    assert.ok(!(await tree()).some((path) => path.includes("app||turn")));
  });

  it("makes the nodes above many keys of one transaction", async () => {
    const keys = Array.from({ length: 40 }, (_, index) => `app||many-${index}/deep/k`);
    const made = keys.map((key) => upsert(key, "1"));
    await store.transact?.(made, call);
    assert.deepEqual(await Promise.all(keys.map((key) => textOf(store, key))), new Array(40).fill("1"));
    const erased = keys.map((key) => deletion(key));
    await store.transact?.(erased, call);
    assert.ok(!(await tree()).some((path) => path.includes("many-")));
  });

  it("needs no rights on nodes that are there", async () => {
    await store.set(write("app||first", "1"), call);
    await cli("setAcl / world:anyone:ra");
    try {
      await store.set(write("app||rights/k", "1"), call);
      assert.equal(await textOf(store, "app||rights/k"), "1");
      const outside = await openStore({ servers: server.address, keyPrefixPath: "/forbidden" });
      await assert.rejects(outside.set(write("k", "1"), call), { code: "unavailable", message: /see its ACL/ });
      await outside.close();
    } finally {
      await cli("setAcl / world:anyone:cdrwa");
    }
  });

  it("holds a condition of a transaction that leaves no value", async () => {
    const [first, then] = [upsert("app||brief", "1", { firstWrite: true }), deletion("app||brief")];
    await store.transact?.([first, then], call);
    assert.equal(await textOf(store, "app||brief"), null);
    await store.set(write("app||brief/below", "1"), call);
    await store.transact?.([first, then], call);
    assert.equal(await textOf(store, "app||brief/below"), "1");
    await store.set(write("app||brief", "1"), call);
    await assert.rejects(async () => store.transact?.([first, then], call), { code: "etag-mismatch" });
  });

  it("tells an empty value from a node that has none", async () => {
    await store.set(write("app||empty", "", { isJson: false }), call);
    assert.equal(await textOf(store, "app||empty"), "");
    await assert.rejects(store.set(write("app||empty", "1", { firstWrite: true }), call), { code: "etag-mismatch" });
    await cli("create /dapr/app||none");
    assert.equal(await textOf(store, "app||none"), null);
    await store.set(write("app||none", "1", { firstWrite: true }), call);
    assert.equal(await textOf(store, "app||none"), "1");
  });

  it("has room for the largest value under the longest key", async () => {
    const prefix = `/${"p".repeat(1023)}`;
    const deep = await openStore({ servers: server.address, keyPrefixPath: prefix });
    const key = "\u0010".repeat(2048);
    const bytes = Buffer.alloc(deep.limits.valueBytesMax ?? 0, "v");
    await deep.set({ ...write(key, ""), bytes }, call);
    await deep.set({ ...write(key, ""), bytes, etag: await etagOf(deep, key) }, call);
    assert.equal((await deep.get(key, read, call))?.bytes.length, bytes.length);
    await deep.close();
  });

  it("makes the nodes of the prefix with the first value", async () => {
    const elsewhere = await openStore({ servers: server.address, keyPrefixPath: "/some/where" });
    assert.match((await cli("ls /some")).join(), /Node does not exist/);
    await elsewhere.set(write("k", "1"), call);
    assert.deepEqual(await cli("ls /some/where"), ["[k]"]);
    await elsewhere.remove(removal("k"), call);
    assert.deepEqual(await cli("ls /some/where"), ["[]"]);
    await elsewhere.close();
  });

  it("answers for each key of many, and for one that is too long alone", async () => {
    await store.set(write("app||many", "1"), call);
    const long = "k".repeat(2049);
    const rows = (await store.getMany?.(["app||many", long, "app||nothing"], read, call)) ?? [];
    const [many, refusal, nothing] = rows;
    assert.ok(many !== null && many !== undefined && "bytes" in many);
    assert.ok(refusal instanceof Error && nothing === null);
  });
});
