// Transactions that meet: what they come to, and that those the server undoes are tried again.
import assert from "node:assert/strict";
import { Client } from "pg";
import { v1Layout, v2Layout } from "#sidecar/stores/postgresql/layout.ts";
import { POSTGRESQL } from "#sidecar/stores/postgresql/product.ts";
import { statementsFor, tablesOf } from "#sidecar/stores/postgresql/statements.ts";
import { toBatch } from "#sidecar/stores/postgresql/transaction.ts";
import type { Change } from "#sidecar/stores/store.ts";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { call, deletion, eventually, onOneServer, read, textOf, transact, upsert, VERSIONS, write } from "./fixture.ts";

describe("a batch of changes", () => {
  const uuid = "00000000-0000-4000-8000-000000000000";
  const batchOf = (...changes: Parameters<typeof toBatch>[1]): ReturnType<typeof toBatch> => toBatch(v2Layout, changes);

  it("has its keys sorted, each once, with the last of its changes", () => {
    const batch = batchOf(upsert("b", "1"), upsert("a", "2", { ttlSec: 5 }), upsert("b", "3"), deletion("c"));
    assert.deepEqual(batch.keys, ["a", "b", "c"]);
    assert.deepEqual(batch.put.parameters, [
      ["a", "b"],
      [5, null],
      [Buffer.from("2"), Buffer.from("3")],
    ]);
    assert.deepEqual(batch.removed, ["c"]);
  });

  it("removes first what is made again, unless nothing may be there", () => {
    assert.deepEqual(batchOf(deletion("a"), upsert("a", "1")).removed, ["a"]);
    const batch = batchOf(deletion("a"), upsert("a", "1", { firstWrite: true }));
    assert.deepEqual([batch.removed, batch.created.keys, batch.put.keys], [[], ["a"], []]);
  });

  it("has all conditions, whatever becomes of their changes", () => {
    const batch = batchOf(
      upsert("a", "1", { etag: uuid }),
      deletion("a", { etag: uuid }),
      upsert("b", "1", { firstWrite: true }),
      deletion("b"),
    );
    assert.deepEqual(batch.conditions, [
      { key: "a", etag: uuid, where: "change 1 of 4: " },
      { key: "a", etag: uuid, where: "change 2 of 4: " },
      { key: "b", etag: null, where: "change 3 of 4: " },
    ]);
    assert.deepEqual([batch.removed, batch.created.keys], [["a"], []]);
  });
});

describe("a refused batch", () => {
  const refused = [
    ["a key", upsert("k".repeat(2693), "1"), "refused", /^change 2 of 2: a key of more than 2692 bytes/],
    ["a text", deletion("a\0b"), "refused", /^change 2 of 2: the key holds U\+0000/],
    [
      "an ETag",
      deletion("b", { etag: "x" }),
      "etag-invalid",
      /^change 2 of 2: an etag of this store is a whole number/,
    ],
    ["a value", upsert("b", "-0"), "refused", /^change 2 of 2: the value holds -0/],
  ] as const;
  for (const [what, change, code, message] of refused)
    it(`names the change of ${what} that cannot be held`, () => {
      const layout = v1Layout({ lossyValues: false });
      assert.throws(() => toBatch(layout, [deletion("k".repeat(2693)), change]), { code, message });
    });
});

describeWithPostgres("transactions in PostgreSQL", () => {
  const { server, database, open, keep } = onOneServer({ settings: { deadlock_timeout: "20ms" } });

  for (const isolation of ["read committed", "repeatable read", "serializable"]) {
    for (const version of VERSIONS) {
      it(`meet without an error in ${version} where ${isolation} is the default`, async () => {
        const name = await database();
        await server().query(`ALTER DATABASE ${name} SET default_transaction_isolation = '${isolation}'`);
        const stores = [await open(version, name), await open(version, name)];
        const keys = Array.from({ length: 6 }, (_, index) => `k${index}`);
        const turns = Array.from({ length: 60 }, (_, index) => index);
        await Promise.all(
          turns.map((turn) => {
            const store = stores[turn % 2];
            assert.ok(store !== undefined);
            const rotated = [...keys.slice(turn % 6), ...keys.slice(0, turn % 6)];
            const changes = rotated.map((key, at) => (at % 5 === 4 ? deletion(key) : upsert(key, String(turn))));
            return turn % 3 === 0 ? store.set(write(rotated[0] ?? "", String(turn)), call) : transact(store, changes);
          }),
        );
        await transact(
          stores[0] ?? assert.fail(),
          keys.map((key) => upsert(key, "1")),
        );
        for (const key of keys) assert.equal(await textOf(stores[1] ?? assert.fail(), key), "1");
      });
    }
  }

  const many = (start: string, length = 40): readonly Change[] =>
    Array.from({ length }, (_, index) => upsert(`${start}${index}`, "1"));

  /** A client of its own in the database. */
  async function clientIn(name: string): Promise<Client> {
    const client = new Client({ connectionString: server().url(name) });
    client.on("error", () => undefined);
    await client.connect();
    return keep(client, () => client.end());
  }

  it("wait for no other that shares no key, however many keys it has, in the same table or in another", async () => {
    const name = await database();
    const ours = await open("v2", name, { timeout: "60s" });
    const theirs = await open("v1", name, { timeout: "30s", tableName: "theirs" });
    const beside = await open("v2", name, { timeout: "30s" });
    await ours.set(write("hot", "1"), call);
    const client = await clientIn(name);
    await client.query("BEGIN");
    await client.query("SELECT * FROM state WHERE key = 'hot' FOR UPDATE");
    const held = [
      transact(ours, [upsert("hot", "2"), ...many("big")]),
      transact(ours, [upsert("hot", "2"), upsert("z", "2")]),
    ];
    const settled = Promise.all(held);
    await eventually(async () => {
      const text = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
      assert.equal((await server().query(text, [name])).length, 2);
    });
    await transact(beside, [upsert("a", "1"), upsert("b", "1")]);
    await transact(beside, many("small"));
    await transact(theirs, [upsert("hot", "1"), upsert("z", "1")]);
    await transact(theirs, [upsert("hot", "1"), ...many("big")]);
    await client.query("ROLLBACK");
    await settled;
  });

  for (const version of VERSIONS) {
    it(`of many keys each meet without an error in ${version}`, async () => {
      const name = await database();
      const stores = [await open(version, name), await open(version, name)];
      const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
      const turns = Array.from({ length: 60 }, (_, index) => index);
      await Promise.all(
        turns.map((turn) => {
          const store = stores[turn % 2];
          assert.ok(store !== undefined);
          const rotated = [...keys.slice(turn % 50), ...keys.slice(0, turn % 50)].slice(0, 35 + (turn % 15));
          return transact(
            store,
            rotated.map((key, at) => (at % 5 === turn % 5 ? deletion(key) : upsert(key, String(turn)))),
          );
        }),
      );
    });
  }

  it("of a client that hangs are ended by the server, and their locks with them", async () => {
    const name = await database();
    const store = await open("v2", name);
    await transact(store, [upsert("a", "0"), upsert("b", "0")]);
    const tables = tablesOf("state", "dapr_metadata");
    assert.ok(tables !== null);
    const sql = statementsFor(v2Layout, tables, { product: POSTGRESQL, timeoutMs: 10_000 });
    const client = await clientIn(name);
    await client.query(sql.begin.text);
    await client.query(sql.take?.text ?? "", [["a", "b"]]);
    await client.query(sql.lock.text, [["a", "b"]]);
    await transact(store, [upsert("a", "1"), upsert("b", "1")]);
    assert.equal(await textOf(store, "a"), "1");
    await assert.rejects(client.query("COMMIT"));
  });

  it("tell the server to end them after half the store's timeout, and no others", async () => {
    const name = await database();
    const store = await open("v1", name, { timeout: "8s", maxConns: "2" });
    const trigger = `CREATE TABLE seen (what text);
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO seen VALUES (current_setting('idle_in_transaction_session_timeout')); RETURN new; END $$;
      CREATE TRIGGER see BEFORE INSERT ON state FOR EACH ROW EXECUTE FUNCTION see()`;
    await server().query(trigger, [], name);
    await transact(store, [upsert("a", "1")]);
    await store.set(write("b", "1"), call);
    const rows = await server().query("SELECT what FROM seen", [], name);
    assert.deepEqual(
      rows.map(({ what }) => what),
      ["4s", "0"],
    );
  });

  it("find their locks by the table's name, whatever it is", async () => {
    const name = await database();
    await server().query(`ALTER DATABASE ${name} SET standard_conforming_strings = off`);
    const store = await open("v1", name, { tableName: `"it's \\ ""it"""` });
    await transact(store, [upsert("a", "1"), upsert("b", "1")]);
    assert.equal(await textOf(store, "b"), "1");
  });

  it("are tried again when the server ends a deadlock", async () => {
    const name = await database();
    const store = await open("v2", name);
    await transact(store, [upsert("a", "0"), upsert("b", "0")]);
    // Another client locks the rows the other way round.
    const other = server().query(
      "BEGIN; UPDATE state SET value = 'x' WHERE key = 'b'; SELECT pg_sleep(0.3); UPDATE state SET value = 'x' WHERE key = 'a'; COMMIT",
      [],
      name,
    );
    const settled = Promise.allSettled([other]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await transact(store, [upsert("a", "1"), upsert("b", "1")]);
    await settled;
    const values = [await textOf(store, "a"), await textOf(store, "b")];
    assert.ok(values.every((value) => value === "1") || values.every((value) => value === "x"), `half: ${values}`);
  });

  it("do not take away a row that another one makes between their look and their write", async () => {
    const name = await database();
    const [ours, theirs] = [await open("v1", name), await open("v1", name)];
    for (let turn = 0; turn < 30; turn++) {
      const key = `turn${turn}`;
      const changes = [deletion(key), upsert(key, '"ours"', { firstWrite: true })];
      const [first, second] = await Promise.allSettled([
        transact(ours, changes),
        theirs.set(write(key, '"theirs"', { firstWrite: true }), call),
      ]);
      const won = [first.status, second.status];
      assert.equal(won.filter((each) => each === "fulfilled").length, 1, `both or none: ${won}`);
      assert.equal(await textOf(ours, key), first.status === "fulfilled" ? '"ours"' : '"theirs"');
    }
  });

  it("name the change that was refused, and leave the connection usable", async () => {
    const name = await database();
    const store = await open("v2", name, { maxConns: "2" });
    await store.set(write("a", "1"), call);
    const etag = (await store.get("a", read, call))?.etag ?? "";
    const refused: [Parameters<typeof transact>[1], RegExp][] = [
      [[upsert("b", "1"), upsert("a", "2", { firstWrite: true })], /^change 2 of 2: item already exists/],
      [[upsert("a", "2", { etag }), upsert("b", "1", { etag })], /^change 2 of 2: there is no value/],
      [[deletion("a", { etag: "00000000-0000-4000-8000-000000000000" })], /^change 1 of 1: the value has another etag/],
    ];
    for (const [changes, message] of refused)
      await assert.rejects(transact(store, changes), { code: "etag-mismatch", message });
    const text =
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = $1 AND application_name = 'pannier-test'";
    const [row] = await server().query(text, [name]);
    assert.equal(row?.count, 1);
    await transact(store, [upsert("a", "2", { etag })]);
  });
});
