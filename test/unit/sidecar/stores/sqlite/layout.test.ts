import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { connect } from "#sidecar/stores/sqlite/connection.ts";
import { CALL, Fixture, failure, READ, textOf, threadSettings, write } from "./fixture.ts";

/** The tables as Dapr 1.18 makes them (dapr-state-stores.md 7b). */
const DAPR_TABLES = `CREATE TABLE metadata (key text NOT NULL PRIMARY KEY, value text NOT NULL);
  INSERT INTO metadata VALUES ('migrations', '1');
  CREATE TABLE state (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, is_binary BOOLEAN NOT NULL,
    etag TEXT NOT NULL, expiration_time TIMESTAMP DEFAULT NULL,
    update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);`;

describe("layout of state.sqlite", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  it("has Dapr's tables, columns and level", async () => {
    await fixture.open();
    assert.deepEqual(fixture.rows("SELECT * FROM metadata"), [{ key: "migrations", value: "1" }]);
    const columns = fixture.rows("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('state')");
    assert.deepEqual(
      columns.map((column) => Object.values(column).join(" ").trim()),
      [
        "key TEXT 1  1",
        "value TEXT 1  0",
        "is_binary BOOLEAN 1  0",
        "etag TEXT 1  0",
        "expiration_time TIMESTAMP 0 NULL 0",
        "update_time TIMESTAMP 1 CURRENT_TIMESTAMP 0",
      ],
    );
    assert.deepEqual(fixture.rows("PRAGMA journal_mode"), [{ journal_mode: "wal" }]);
  });

  it("keeps JSON as the text that came in, a UUID as etag, and times of whole seconds", async () => {
    const store = await fixture.open();
    fixture.clock.timeMs = Date.UTC(2030, 0, 1, 12, 0, 0, 1);
    await store.set(write("app||k", '{"b" : 1.0,\n"a":"\\u0000é"}', { ttlSec: 60 }), CALL);
    const [row] = fixture.rows("SELECT *, typeof(value) AS type FROM state");
    assert.match(String(row?.etag), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(row, {
      key: "app||k",
      value: '{"b" : 1.0,\n"a":"\\u0000é"}',
      is_binary: 0,
      etag: row?.etag,
      expiration_time: "2030-01-01 12:01:01",
      update_time: "2030-01-01 12:00:00",
      type: "text",
    });
  });

  it("keeps raw bytes as base64 without quotes", async () => {
    const store = await fixture.open();
    const bytes = Uint8Array.from([0, 255, 10, 128]);
    await store.set(write("k", "", { bytes, isJson: false }), CALL);
    assert.deepEqual(fixture.rows("SELECT value, is_binary, typeof(value) AS type FROM state"), [
      { value: "AP8KgA==", is_binary: 1, type: "text" },
    ]);
    assert.deepEqual(Buffer.from((await store.get("k", READ, CALL))?.bytes ?? []), Buffer.from(bytes));
  });

  it("gives bytes back exactly, whatever a text might do to them", async () => {
    const store = await fixture.open();
    const samples = ['"\u0000"', "\ufeff[]", " 1 ", "", '"😀"', '"\\ud800"'].map((text) => Buffer.from(text));
    for (const bytes of samples) {
      for (const isJson of [true, false]) {
        await store.set(write("k", "", { bytes, isJson }), CALL);
        const found = await store.get("k", READ, CALL);
        assert.deepEqual(Buffer.from(found?.bytes ?? []), bytes);
      }
    }
  });

  it("takes only the window of a larger buffer, and leaves the caller's memory alone", async () => {
    const store = await fixture.open();
    const body = Buffer.from('[{"value":12345}]');
    await store.set(write("k", "", { bytes: body.subarray(10, 15) }), CALL);
    assert.equal(await textOf(store, "k"), "12345");
    assert.equal(body.toString(), '[{"value":12345}]');
  });

  it("reads rows that Dapr wrote, and leaves Dapr's tables as they are", async () => {
    const plain = fixture.plain();
    plain.exec(DAPR_TABLES);
    const before = plain.prepare("SELECT sql FROM sqlite_schema").all();
    plain.exec(`INSERT OR REPLACE INTO state (key, value, is_binary, etag, expiration_time) VALUES
      ('app||json', '{"a":1}', 0, 'e1', NULL), ('app||raw', 'aGk=', 1, 'e2', '2030-01-01 00:01:40'),
      ('app||gone', '1', 0, 'e3', '2029-12-31 23:59:59'), ('app||now', '1', 0, 'e4', '2030-01-01 00:00:00')`);
    const store = await fixture.open();
    const found = await store.getMany(["app||json", "app||raw", "app||gone", "app||now"], READ, CALL);
    assert.deepEqual(found, [
      { bytes: new Uint8Array(Buffer.from('{"a":1}')), etag: "e1", expiresAtMs: null },
      { bytes: new Uint8Array(Buffer.from("hi")), etag: "e2", expiresAtMs: Date.UTC(2030, 0, 1, 0, 1, 40) },
      null,
      null,
    ]);
    assert.deepEqual(plain.prepare("SELECT sql FROM sqlite_schema").all(), before);
  });

  it("makes the metadata table beside a state table that is older than it", async () => {
    fixture.plain().exec(`${DAPR_TABLES} DROP TABLE metadata; INSERT INTO state VALUES ('k', '7', 0, 'e', NULL, '')`);
    const store = await fixture.open();
    assert.equal(await textOf(store, "k"), "7");
    assert.deepEqual(fixture.rows("SELECT * FROM metadata"), [{ key: "migrations", value: "1" }]);
  });

  it("accepts the layout of a later build, and refuses a level that is no number", async () => {
    const plain = fixture.plain();
    plain.exec(`${DAPR_TABLES} UPDATE metadata SET value = '9'`);
    await (await fixture.open()).close();
    plain.exec("UPDATE metadata SET value = 'nine'");
    await assert.rejects(fixture.open(), failure("corrupt", /'migrations' of table metadata/));
    assert.deepEqual(fixture.rows("SELECT value FROM metadata"), [{ value: "nine" }]);
  });

  it("is made once when several stores start on one new file", async () => {
    const stores = await Promise.all([fixture.open(), fixture.open(), fixture.open()]);
    await Promise.all(stores.map((store, index) => store.set(write(`k${index}`, "1"), CALL)));
    assert.deepEqual(fixture.rows("SELECT key FROM state ORDER BY key"), [{ key: "k0" }, { key: "k1" }, { key: "k2" }]);
  });

  it("uses other table names, also ones that begin with a digit", async () => {
    const store = await fixture.open({ tableName: "1orders", metadataTableName: "select" });
    await store.set(write("k", "1"), CALL);
    assert.deepEqual(fixture.rows('SELECT key FROM "1orders"'), [{ key: "k" }]);
    assert.deepEqual(fixture.rows('SELECT key FROM "select"'), [{ key: "migrations" }]);
  });

  it("lets two Components share the metadata table with tables of their own", async () => {
    const orders = await fixture.open({ tableName: "orders" });
    const users = await fixture.open({ tableName: "users" });
    await orders.set(write("k", "1"), CALL);
    assert.equal(await textOf(users, "k"), null);
  });

  it("keeps a rollback journal with disableWAL", async () => {
    const store = await fixture.open({ disableWAL: true });
    await store.set(write("k", "1"), CALL);
    assert.equal(await textOf(store, "k"), "1");
    assert.deepEqual(fixture.rows("PRAGMA journal_mode"), [{ journal_mode: "delete" }]);
  });

  it("keeps the mode of a file that another connection holds, and says so in the log", async () => {
    const plain = fixture.plain();
    plain.exec(`PRAGMA journal_mode = WAL; ${DAPR_TABLES}`);
    const store = await fixture.open({ disableWAL: true });
    await store.set(write("k", "1"), CALL);
    assert.match(fixture.logged.join(""), /another journal mode.*wanted=delete kept=wal/);
  });

  it("cannot be written through the connection for reads", async () => {
    await fixture.open();
    const { database } = connect({ ...threadSettings(fixture.path), readsOnly: true });
    assert.throws(() => database.exec("DELETE FROM state"), /readonly/);
    database.close();
  });

  it("answers a row that is not in it as corrupt, and its neighbours as they are", async () => {
    const store = await fixture.open();
    await store.set(write("good", "1"), CALL);
    fixture.plain().exec("INSERT INTO state VALUES ('bad', 'no base64!', 1, 'e', NULL, '')");
    await assert.rejects(store.get("bad", READ, CALL), failure("corrupt", /no base64/));
    const [good, bad] = await store.getMany(["good", "bad"], READ, CALL);
    assert.ok(good !== null && good !== undefined && "bytes" in good);
    assert.ok(bad instanceof Error && bad.code === "corrupt");
  });

  it("refuses a database that is not in UTF-8", async () => {
    const plain = new DatabaseSync(fixture.path);
    plain.exec("PRAGMA encoding = 'UTF-16'; CREATE TABLE t (a)");
    plain.close();
    await assert.rejects(fixture.open(), failure("unavailable", /UTF-16/));
  });
});
