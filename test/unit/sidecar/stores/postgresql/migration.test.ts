// Tables as older releases of Dapr left them, tables in the way, and several that begin at once (dapr-state-stores.md 19).
import assert from "node:assert/strict";
import { Client } from "pg";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { call, eventually, onOneServer, openStore, read, textOf, VERSIONS, write } from "./fixture.ts";

const V1_FIRST = `CREATE TABLE state (key text NOT NULL PRIMARY KEY, value jsonb NOT NULL, isbinary boolean NOT NULL,
  insertdate TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(), updatedate TIMESTAMP WITH TIME ZONE NULL)`;
const V2_FIRST = `CREATE TABLE state (key text NOT NULL PRIMARY KEY, value bytea NOT NULL, etag uuid NOT NULL DEFAULT
  gen_random_uuid(), created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, expires_at timestamptz);
  CREATE INDEX ON state (expires_at)`;
const METADATA = "CREATE TABLE dapr_metadata (key text NOT NULL PRIMARY KEY, value text NOT NULL)";

describeWithPostgres("the migration of PostgreSQL tables", () => {
  const { server, database, open } = onOneServer();
  const levelOf = async (name: string, key: string): Promise<unknown> =>
    (await server().query("SELECT value FROM dapr_metadata WHERE key = $1", [key], name))[0]?.value;
  const idsOf = async (name: string): Promise<readonly unknown[]> =>
    (await server().query("SELECT key, row_id FROM state ORDER BY row_id", [], name)).map(
      ({ key, row_id }) => `${key} ${row_id}`,
    );

  it("completes a v1 table that is older than the metadata table, and numbers its rows by age", async () => {
    const name = await database();
    await server().query(V1_FIRST, [], name);
    await server().query(
      "INSERT INTO state VALUES ('0-young', '1', false, '2022-01-01'), ('b', '2', false, '2021-01-01'), ('a', '3', false, '2021-01-01')",
      [],
      name,
    );
    const store = await open("v1", name);
    assert.equal(await textOf(store, "0-young"), "1");
    await store.set(write("next", "4", { ttlSec: 100 }), call);
    assert.deepEqual(await idsOf(name), ["a 1", "b 2", "0-young 3", "next 4"]);
    assert.equal(await levelOf(name, "migrations"), "3");
  });

  it("completes a v1 table of level 2", async () => {
    const name = await database();
    const more =
      "ALTER TABLE state ADD COLUMN expiredate timestamptz; INSERT INTO dapr_metadata VALUES ('migrations', '2'), ('lock', 'lock')";
    await server().query(`${V1_FIRST}; ${METADATA}; ${more}`, [], name);
    await server().query("INSERT INTO state VALUES ('a', '1', false)", [], name);
    await open("v1", name);
    assert.deepEqual(await idsOf(name), ["a 1"]);
    assert.equal(await levelOf(name, "migrations"), "3");
  });

  it("completes a v2 table of level 1", async () => {
    const name = await database();
    await server().query(
      `${V2_FIRST}; ${METADATA}; INSERT INTO dapr_metadata VALUES ('migrations-state-v2-', '1')`,
      [],
      name,
    );
    await server().query("INSERT INTO state (key, value) VALUES ('a', '1')", [], name);
    const store = await open("v2", name);
    await store.set(write("b", "2"), call);
    assert.deepEqual(await idsOf(name), ["a 1", "b 2"]);
    assert.equal(await levelOf(name, "migrations-state-v2-"), "2");
    const indexes = await server().query(
      "SELECT count(*)::int AS count FROM pg_indexes WHERE tablename = 'state'",
      [],
      name,
    );
    assert.equal(indexes[0]?.count, 3);
  });

  it("leaves a layout of a later build alone, and its level", async () => {
    const name = await database();
    await (await open("v1", name)).close();
    await server().query(
      "UPDATE dapr_metadata SET value = '9' WHERE key = 'migrations'; ALTER TABLE state ADD COLUMN later int",
      [],
      name,
    );
    const store = await open("v1", name);
    await store.set(write("k", "1"), call);
    assert.equal(await levelOf(name, "migrations"), "9");
  });

  it("makes a second table beside a metadata table that says all is done", async () => {
    const name = await database();
    await open("v1", name);
    const store = await open("v1", name, { tableName: "second" });
    await store.set(write("k", "1"), call);
    assert.equal(await textOf(store, "k"), "1");
  });

  it("keeps v1 and v2 apart that share the metadata table", async () => {
    const name = await database();
    await server().query('CREATE SCHEMA "My Schema"', [], name);
    const stores = [
      await open("v1", name),
      await open("v2", name, { tablePrefix: "x_" }),
      await open("v2", name, { tablePrefix: '"My Schema".' }),
      await open("v1", name, { tableName: '"My Schema".v1', metadataTableName: '"My Schema".meta' }),
    ];
    for (const [index, store] of stores.entries()) await store.set(write("k", String(index)), call);
    for (const [index, store] of stores.entries()) assert.equal(await textOf(store, "k"), String(index));
    assert.equal(await levelOf(name, "migrations-state-v2-x_"), "2");
    assert.equal(await levelOf(name, 'migrations-state-v2-"My Schema".'), "2");
  });

  it("refuses a table of the other version, and says what to do", async () => {
    for (const [first, second] of [
      ["v1", "v2"],
      ["v2", "v1"],
    ] as const) {
      const name = await database();
      await (await open(first, name)).close();
      await assert.rejects(open(second, name), {
        name: "StoreError",
        code: "corrupt",
        message: new RegExp(
          `"state" has no column .*: it is not in the layout of version ${second}.*Set version to ${first}`,
        ),
      });
    }
  });

  it("refuses a database that cannot hold every character, says what to do, and leaves it as it is", async () => {
    for (const version of VERSIONS) {
      const name = await database("TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
      await assert.rejects(open(version, name), {
        name: "StoreError",
        code: "unavailable",
        message: /the database has the encoding LATIN1.*CREATE DATABASE .* ENCODING 'UTF8' TEMPLATE template0/,
      });
      assert.deepEqual(await server().query("SELECT 1 FROM pg_class WHERE relname = 'dapr_metadata'", [], name), []);
      const bytes = await database("TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
      const store = await open(version, bytes);
      await store.set(write("kлюч", '"\u{1f9fa}"'), call);
      assert.equal(await textOf(store, "kлюч"), '"\u{1f9fa}"');
    }
  });

  it("refuses a level that is no number", async () => {
    const name = await database();
    await server().query(`${METADATA}; INSERT INTO dapr_metadata VALUES ('migrations', 'three')`, [], name);
    await assert.rejects(open("v1", name), { code: "corrupt", message: /row 'migrations' .* holds no whole number/ });
  });

  it("is done once by many that begin at the same moment", async () => {
    for (const version of VERSIONS) {
      const name = await database();
      const stores = await Promise.all(Array.from({ length: 6 }, () => open(version, name)));
      await stores[0]?.set(write("k", "1"), call);
      for (const store of stores) assert.equal(await textOf(store, "k"), "1");
      const [row] = await server().query("SELECT count(*)::int AS count FROM dapr_metadata", [], name);
      assert.equal(row?.count, 2);
    }
  });

  it("waits for Dapr's lock, no longer than it may, and leaves nothing behind", async () => {
    const name = await database();
    await server().query(`${METADATA}; INSERT INTO dapr_metadata VALUES ('lock', 'lock')`, [], name);
    const holder = new Client({ connectionString: server().url(name) });
    await holder.connect();
    await holder.query("BEGIN; SELECT * FROM dapr_metadata WHERE key = 'lock' FOR UPDATE");
    const fields = { connectionString: server().url(name) };
    await assert.rejects(openStore({ version: "v1", fields, signal: AbortSignal.timeout(300) }), {
      name: "StoreError",
    });
    const opened = open("v1", name);
    await eventually(async () => {
      const text = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
      assert.equal((await server().query(text, [name])).length, 1);
    });
    await holder.query("ROLLBACK");
    await holder.end();
    const store = await opened;
    assert.equal(await store.get("k", read, call), null);
  });

  it("needs no rights but those on the tables once they are made", async () => {
    for (const version of VERSIONS) {
      const name = await database();
      await (await open(version, name)).close();
      const user = `app_${version}`;
      await server().query(
        `CREATE USER ${user}; GRANT SELECT, INSERT, UPDATE, DELETE ON state, dapr_metadata TO ${user}`,
        [],
        name,
      );
      const store = await open(version, name, { user });
      await store.set(write("k", "1"), call);
      assert.equal(await textOf(store, "k"), "1");
      await assert.rejects(open(version, await database(), { user }), {
        code: "unavailable",
        message: /does not let this user.*42501/,
      });
    }
  });

  it("is not needed by a server that takes no writes", async () => {
    const name = await database();
    const first = await open("v1", name);
    await first.set(write("k", "1"), call);
    const store = await open("v1", name, {
      connectionString: `${server().url(name)}?default_transaction_read_only=on`,
    });
    assert.equal(await textOf(store, "k"), "1");
    await assert.rejects(store.set(write("k", "2"), call), { code: "unavailable", message: /takes no writes.*25006/ });
  });
});
