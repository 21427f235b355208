// Transactions against a real server: what is locked, what waits for whom, and what is left of those that fail.
import assert from "node:assert/strict";
import { describeWithMysql, runOn } from "#test/servers/mysql.ts";
import { call, deletion, eventually, onOneServer, read, textOf, transact, upsert, write } from "./fixture.ts";

describeWithMysql("transactions in MySQL", () => {
  const { schema, open, query, client } = onOneServer({ args: ["--max-allowed-packet=2M"] });

  it("leave no trace of rows that were made only to be locked", async () => {
    const name = schema();
    const store = await open(name);
    await transact(store, [deletion("gone"), upsert("here", "1"), deletion("also gone")]);
    await assert.rejects(transact(store, [upsert("new", "1"), deletion("here", { etag: "other" })]), {
      code: "etag-mismatch",
      message: /^change 2 of 2: the value has another etag/,
    });
    assert.deepEqual(
      (await query(name, "SELECT id FROM state")).map(({ id }) => id),
      ["here"],
    );
  });

  it("judge all conditions by the state before the first change", async () => {
    const store = await open(schema());
    await store.set(write("a", "1"), call);
    const etag = (await store.get("a", read, call))?.etag ?? "";
    await transact(store, [upsert("a", "2", { etag }), upsert("a", "3", { etag }), deletion("b")]);
    assert.equal(await textOf(store, "a"), "3");
    await assert.rejects(transact(store, [deletion("a"), upsert("a", "4", { firstWrite: true })]), {
      code: "etag-mismatch",
      message: /^change 2 of 2: item already exists/,
    });
    await assert.rejects(transact(store, [upsert("c", "1"), upsert("d", "1", { etag })]), {
      message: /^change 2 of 2: there is no value under the key/,
    });
    assert.deepEqual([await textOf(store, "a"), await textOf(store, "c")], ["3", null]);
  });

  it("keep their connection when a condition does not hold", async () => {
    const name = schema();
    const store = await open(name, { maxConns: "1" });
    const sessions = (): Promise<unknown> =>
      query("mysql", "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE DB = ?", [name]);
    await store.set(write("k", "1"), call);
    const before = await sessions();
    await assert.rejects(transact(store, [upsert("k", "2", { etag: "other" })]), { code: "etag-mismatch" });
    assert.equal(await textOf(store, "k"), "1");
    assert.deepEqual(await sessions(), before);
  });

  it("make expired rows anew", async () => {
    const name = schema();
    const store = await open(name);
    await transact(store, [upsert("k", "1", { ttlSec: 100 }), upsert("l", "1", { ttlSec: 100 })]);
    await query(name, "UPDATE state SET expiredate = NOW() - INTERVAL 1 DAY");
    await transact(store, [upsert("k", "2", { firstWrite: true }), deletion("l")]);
    assert.deepEqual([await textOf(store, "k"), await textOf(store, "l")], ["2", null]);
    assert.equal((await store.get("k", read, call))?.expiresAtMs, null);
  });

  it("take turns where they share a key that is not there, whatever the order of their changes", async () => {
    const stores = await Promise.all([1, 2].map(() => open("shared")));
    const keys = ["a", "b", "c"];
    for (let round = 0; round < 30; round++) {
      await Promise.all(
        stores.flatMap((store, writer) => [
          transact(
            store,
            [...keys].reverse().map((key) => upsert(key, `${round * 10 + writer}`)),
          ),
          transact(
            store,
            keys.map((key) => deletion(key)),
          ),
        ]),
      );
      const [store] = stores;
      assert.ok(store !== undefined);
      const values = await Promise.all(keys.map((key) => textOf(store, key)));
      assert.equal(new Set(values).size, 1, `round ${round}: ${values}`);
    }
    const [deadlocks] = await query("shared", "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'");
    assert.equal(Number(deadlocks?.Value), 0);
  });

  it("wait for another client's lock, and are tried again after a deadlock", async () => {
    const name = schema();
    const store = await open(name);
    await transact(store, [upsert("a", "1"), upsert("b", "1")]);
    const other = client(name);
    await runOn(other, "START TRANSACTION");
    // Many rows changed: the server undoes the one that has changed less.
    await runOn(
      other,
      "INSERT INTO state (id, value, isbinary, eTag) SELECT CONCAT('x', seq), '1', 0, 'e' FROM seq_1_to_500",
    );
    await runOn(other, "SELECT id FROM state WHERE id = 'b' FOR UPDATE");
    const ours = transact(store, [upsert("a", "2"), upsert("b", "2")]);
    const waiting =
      "SELECT COUNT(*) AS count FROM information_schema.PROCESSLIST WHERE INFO LIKE 'INSERT INTO `state`%'";
    await eventually(async () => assert.equal(Number((await query(name, waiting))[0]?.count), 1));
    // Ours holds a and waits for b: this closes the circle.
    await runOn(other, "SELECT id FROM state WHERE id = 'a' FOR UPDATE");
    await runOn(other, "COMMIT");
    await ours;
    assert.deepEqual([await textOf(store, "a"), await textOf(store, "b")], ["2", "2"]);
  });

  it("carry many changes and large ones", async () => {
    const store = await open(schema());
    const large = JSON.stringify("ö".repeat(200_000));
    const changes = Array.from({ length: 700 }, (_, index) =>
      upsert(`k${index}`, index % 10 === 0 ? large : String(index)),
    );
    await transact(store, changes);
    assert.deepEqual([await textOf(store, "k699"), await textOf(store, "k300")], ["699", large]);
    const keys = changes.map((_, index) => `k${index}`);
    const items = await store.getMany?.([...keys, "none", "k0"], read, call);
    assert.equal(items?.filter((item) => item !== null).length, 701);
    await transact(
      store,
      keys.map((key) => deletion(key)),
    );
    assert.equal(await store.count?.({ scope: "", start: "" }, call), 0);
  });
});
