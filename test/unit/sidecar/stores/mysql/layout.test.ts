// The rows in MariaDB, both ways: what this driver writes, looked at with SQL, and what Dapr writes, read here. The SQL in
// Dapr's place follows dapr-state-stores.md 6b and 6c.
import assert from "node:assert/strict";
import { loadDriver } from "#sidecar/stores/registry.ts";
import { describeWithMysql } from "#test/servers/mysql.ts";
import {
  call,
  deletion,
  keysOf,
  listeningLog,
  onOneServer,
  read,
  removal,
  textOf,
  transact,
  upsert,
  write,
} from "./fixture.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The table as Dapr makes it: its columns take the collation of the database. */
const DAPR_TABLE = `CREATE TABLE state (
  id VARCHAR(255) NOT NULL PRIMARY KEY, value JSON NOT NULL, isbinary BOOLEAN NOT NULL,
  insertDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updateDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  eTag VARCHAR(36) NOT NULL, expiredate TIMESTAMP NULL, INDEX expiredate_idx (expiredate),
  row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, UNIQUE KEY row_id_uidx (row_id))`;

describeWithMysql("the layout in MySQL", () => {
  const { schema, open, query, server } = onOneServer();

  const rowOf = async (name: string, key: string): Promise<Readonly<Record<string, unknown>>> =>
    (await query(name, "SELECT * FROM state WHERE id = ?", [key]))[0] ?? {};

  /** A schema with Dapr's own table, in the usual collation of such servers. */
  async function daprTable(collation = "utf8mb4_general_ci"): Promise<string> {
    const name = schema();
    await server().query(`CREATE DATABASE ${name} COLLATE ${collation}`);
    await query(name, DAPR_TABLE);
    return name;
  }

  async function columnsOf(name: string, table: string): Promise<readonly string[]> {
    const text = `SELECT CONCAT_WS(' ', COLUMN_NAME, COLUMN_TYPE, IF(IS_NULLABLE = 'NO', 'not null', 'null'), COLUMN_DEFAULT, EXTRA)
      AS line FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;
    return (await query(name, text, [name, table])).map(({ line }) => String(line).trim());
  }

  it("has the tables of Dapr, with keys that are compared by their bytes", async () => {
    const name = schema();
    await open(name);
    const dapr = await daprTable();
    const columns = await columnsOf(name, "state");
    assert.deepEqual(columns.toSorted(), (await columnsOf(dapr, "state")).toSorted());
    assert.equal(columns[0], "id varchar(255) not null");
    assert.deepEqual(await columnsOf(name, "dapr_metadata"), ["id varchar(255) not null", "value text not null"]);
    const indexes = (await query(name, "SHOW INDEX FROM state")).map((row) => `${row.Key_name} ${row.Column_name}`);
    assert.deepEqual(indexes.sort(), ["PRIMARY id", "expiredate_idx expiredate", "row_id_uidx row_id"]);
    const [made] = await query(name, "SHOW CREATE TABLE state");
    assert.match(String(made?.["Create Table"]), /`id` varchar\(255\) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin/);
    assert.match(String(made?.["Create Table"]), /ENGINE=InnoDB/);
  });

  it("keeps JSON as it came and raw bytes as base64, with a random ETag", async () => {
    const name = schema();
    const store = await open(name);
    await store.set(write("json", '{"b":1, "a":[1.50,12345678901234567890]}'), call);
    await store.set(write("raw", "\u0000ÿ", { isJson: false }), call);
    const json = await rowOf(name, "json");
    assert.deepEqual(
      [json.value, json.isbinary, json.expiredate],
      ['{"b":1, "a":[1.50,12345678901234567890]}', 0, null],
    );
    assert.match(String(json.eTag), UUID);
    const raw = await rowOf(name, "raw");
    assert.deepEqual([raw.value, raw.isbinary], ['"AMO/"', 1]);
    assert.equal(await textOf(store, "raw"), "\u0000ÿ");
    await store.set(write("json", "2"), call);
    assert.notEqual((await rowOf(name, "json")).eTag, json.eTag);
  });

  it("notes when a row was made, changed and ends, alone and in a transaction", async () => {
    const name = schema();
    const store = await open(name);
    const put = [
      (ttlSec: number | null) => store.set(write("k", "1", { ttlSec }), call),
      (ttlSec: number | null) => transact(store, [upsert("k", "2", { ttlSec }), upsert("other", "2")]),
      async (ttlSec: number | null) =>
        store.set(write("k", "3", { ttlSec, etag: (await store.get("k", read, call))?.etag ?? "" }), call),
    ];
    await store.set(write("k", "0"), call);
    await query(name, "UPDATE state SET insertDate = '2020-01-01', updateDate = '2020-01-01'");
    for (const each of put) {
      await each(100);
      const text = `SELECT YEAR(insertDate) AS made, YEAR(updateDate) > 2020 AS touched,
        TIMESTAMPDIFF(SECOND, updateDate, expiredate) AS lives, UNIX_TIMESTAMP(expiredate) AS expires FROM state WHERE id = 'k'`;
      const [row] = await query(name, text);
      assert.deepEqual([row?.made, row?.touched], [2020, 1]);
      assert.ok(Number(row?.lives) === 100 || Number(row?.lives) === 101, String(row?.lives));
      assert.equal((await store.get("k", read, call))?.expiresAtMs, Number(row?.expires) * 1000);
      await each(null);
      assert.equal((await rowOf(name, "k")).expiredate, null);
    }
  });

  it("reads and writes what Dapr wrote", async () => {
    const name = await daprTable();
    const store = await open(name);
    const dapr = (key: string, value: string, isBinary: number, expires: string): Promise<unknown> =>
      query(name, `REPLACE INTO state (id, value, eTag, isbinary, expiredate) VALUES (?, ?, ?, ?, ${expires})`, [
        key,
        value,
        `e-${key}`,
        isBinary,
      ]);
    await dapr("json", '{"a":"b"}', 0, "NULL");
    await dapr("raw", '"AQID"', 1, "NULL");
    await dapr("ends", "1", 0, "DATE_ADD(CURRENT_TIMESTAMP, INTERVAL 3600 SECOND)");
    await dapr("ended", "1", 0, "DATE_ADD(CURRENT_TIMESTAMP, INTERVAL -1 SECOND)");
    const found = await store.get("json", read, call);
    assert.deepEqual([String(found?.bytes), found?.etag], ['{"a":"b"}', "e-json"]);
    assert.deepEqual((await store.get("raw", read, call))?.bytes, Buffer.from([1, 2, 3]));
    const ends = (await store.get("ends", read, call))?.expiresAtMs ?? 0;
    assert.ok(Math.abs(ends - Date.now() - 3_600_000) < 10_000, String(ends));
    assert.equal(await textOf(store, "ended"), null);
    const items = await store.getMany?.(["raw", "ended", "json", "raw"], read, call);
    assert.deepEqual(
      items?.map((item) => item !== null && "etag" in item && item.etag),
      ["e-raw", false, "e-json", "e-raw"],
    );
    await store.set(write("json", "1", { etag: "e-json" }), call);
    await store.set(write("ended", "2", { firstWrite: true }), call);
    assert.equal(await textOf(store, "ended"), "2");
    await store.remove(removal("raw", { etag: "e-raw" }), call);
    assert.equal(await textOf(store, "raw"), null);
  });

  it("lets Dapr's own conditional statements find the ETags that it gives", async () => {
    const name = schema();
    const store = await open(name);
    await store.set(write("k", "1", { ttlSec: 100 }), call);
    const etag = (await store.get("k", read, call))?.etag;
    const text = `UPDATE state SET value = '2', eTag = 'dapr', isbinary = 0, expiredate = NULL
      WHERE id = 'k' AND eTag = ? AND (expiredate IS NULL OR expiredate > CURRENT_TIMESTAMP)`;
    await query(name, text, [etag]);
    assert.deepEqual([await textOf(store, "k"), (await store.get("k", read, call))?.etag], ["2", "dapr"]);
  });

  it("tells by any time zone of the server when a value ends", async () => {
    const name = schema();
    await query("mysql", "SET GLOBAL time_zone = '+05:00'");
    try {
      const store = await open(name);
      await store.set(write("k", "1", { ttlSec: 3600 }), call);
      const ends = (await store.get("k", read, call))?.expiresAtMs ?? 0;
      assert.ok(Math.abs(ends - Date.now() - 3_600_000) < 10_000, String(ends));
      assert.equal((await query(name, "SELECT id FROM state WHERE expiredate > CURRENT_TIMESTAMP")).length, 1);
    } finally {
      await query("mysql", "SET GLOBAL time_zone = SYSTEM");
    }
  });

  it("refuses a TTL that ends behind the last second of the column, and writes nothing", async () => {
    const store = await open(schema());
    const beyond = { ttlSec: 2_147_483_647 };
    const refused = { code: "refused", message: /2038-01-19T03:14:07Z/ };
    await assert.rejects(store.set(write("k", "1", beyond), call), refused);
    await assert.rejects(transact(store, [upsert("j", "1"), upsert("k", "1", beyond)]), {
      code: "refused",
      message: /^change 2 of 2: the TTL ends after/,
    });
    assert.deepEqual([await textOf(store, "k"), await textOf(store, "j")], [null, null]);
  });

  it("never answers, changes or deletes another key's row where a collation takes both for the same", async () => {
    for (const collation of ["utf8mb4_general_ci", "latin1_swedish_ci", "utf8mb4_bin", "utf8mb3_unicode_ci"]) {
      const name = await daprTable(collation);
      const log = listeningLog();
      const store = await open(name, {}, log);
      assert.match(log.warnings.join(), new RegExp(`takes different keys for the same.*${collation}.*MODIFY id`));
      // A space at the end is what the last collation but one takes for nothing.
      const [ours, other] = collation === "utf8mb4_bin" ? ["key", "key "] : ["key", "KEY"];
      const there = { code: "refused", message: /the collation of the table takes another key/ };
      await store.set(write(ours, "1"), call);
      const etag = (await store.get(ours, read, call))?.etag ?? "";
      assert.equal(await textOf(store, other), null);
      assert.deepEqual(
        (await store.getMany?.([other, ours], read, call))?.map((item) => item !== null),
        [false, true],
      );
      await assert.rejects(store.set(write(other, "2"), call), there);
      await assert.rejects(store.set(write(other, "2", { firstWrite: true }), call), there);
      await assert.rejects(store.set(write(other, "2", { etag }), call), { code: "etag-mismatch" });
      await assert.rejects(store.remove(removal(other, { etag }), call), { code: "etag-mismatch" });
      await store.remove(removal(other), call);
      await assert.rejects(transact(store, [upsert("a", "1"), upsert(other, "2")]), there);
      await assert.rejects(
        transact(store, [upsert("both", "1"), upsert(collation === "utf8mb4_bin" ? "both " : "BOTH", "2")]),
        there,
      );
      await transact(store, [deletion(other), upsert("b", "1")]);
      assert.deepEqual(
        [await textOf(store, ours), await textOf(store, "a"), await textOf(store, "b")],
        ["1", null, "1"],
      );
      assert.equal((await query(name, "SELECT id FROM state WHERE eTag = ''")).length, 0);
    }
  });

  it("does not list over such a table, and does once its keys are compared by their bytes", async () => {
    const name = await daprTable();
    const before = await open(name);
    assert.deepEqual(
      [before.features.list, before.list, before.count, before.removeRange],
      [false, undefined, undefined, undefined],
    );
    await before.set(write("a", "1"), call);
    await query(
      name,
      "ALTER TABLE state MODIFY id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL",
    );
    const log = listeningLog();
    const after = await open(name, {}, log);
    await after.set(write("A", "2"), call);
    assert.deepEqual([after.features.list, await keysOf(after, { scope: "", start: "" }, 1)], [true, ["A", "a"]]);
    assert.deepEqual(log.warnings, []);
  });

  it("refuses a key with characters that the columns of a table cannot hold, and finds none", async () => {
    const store = await open(await daprTable("latin1_swedish_ci"));
    await store.set(write("caf\u00e9", '"\u{1f9fa}"'), call);
    assert.equal(await textOf(store, "caf\u00e9"), '"\u{1f9fa}"');
    await assert.rejects(store.set(write("\u{1f9fa}", "1"), call), { code: "refused", message: /utf8mb4/ });
    await store.set(write("?", "1"), call);
    assert.equal(await textOf(store, "\u{1f9fa}"), null);
    await store.remove(removal("\u{1f9fa}"), call);
    assert.equal(await textOf(store, "?"), "1");
  });

  it("calls raw bytes that are no base64 corrupt, alone and among others, and leaves them out of walks", async () => {
    const name = schema();
    const store = await open(name);
    const broken = ['"no base64!"', '{"a":1}', "null", '"QUJ"', '"QR=="', '"QUJD\\n"', '"_-_-"', "1"];
    const whole = ['""', '"QQ=="', '"QUI="', '"QUJD"', `"${Buffer.alloc(5000, 7).toString("base64")}"`];
    const insert = "INSERT INTO state (id, value, isbinary, eTag) VALUES (?, ?, 1, 'e')";
    for (const [index, value] of broken.entries()) await query(name, insert, [`broken${index}`, value]);
    for (const [index, value] of whole.entries()) await query(name, insert, [`whole${index}`, value]);
    await store.set(write("json", '"no base64!"'), call);
    for (const index of broken.keys())
      await assert.rejects(store.get(`broken${index}`, read, call), { code: "corrupt" }, broken[index]);
    const items = await store.getMany?.(["broken0", "json"], read, call);
    assert.deepEqual(
      items?.map((item) => (item === null || "etag" in item ? "found" : item.code)),
      ["corrupt", "found"],
    );
    const range = { scope: "", start: "" };
    const keys = ["json", ...whole.map((_, index) => `whole${index}`)];
    for (const values of [true, false]) {
      const page = await store.list?.({ range, after: null, limit: 100, values }, call);
      assert.deepEqual(
        page?.rows.map(({ key }) => key),
        keys,
      );
    }
    assert.equal(await store.count?.(range, call), keys.length);
    assert.equal(await store.removeRange?.(range, 100, call), keys.length);
    assert.equal((await query(name, "SELECT id FROM state")).length, broken.length);
  });

  it("refuses JSON that the server refuses, with the reason, and writes nothing", async () => {
    const store = await open(schema());
    for (const text of ["[".repeat(32) + "]".repeat(32), '"\\ud800"']) {
      await assert.rejects(store.set(write("k", text), call), {
        code: "refused",
        message: /cannot hold this value as JSON/,
      });
      await assert.rejects(transact(store, [upsert("j", "1"), upsert("k", text)]), { code: "refused" });
    }
    assert.deepEqual([await textOf(store, "k"), await textOf(store, "j")], [null, null]);
  });

  it("walks past the rows of others in steps", async () => {
    const name = schema();
    const store = await open(name);
    const text = `INSERT INTO state (id, value, isbinary, eTag) SELECT CONCAT('app||actor||', LPAD(seq, 6, '0')), '1', 0, 'e'
      FROM seq_1_to_25000`;
    await query(name, text);
    await store.set(write("app||zz", "1"), call);
    const range = { scope: "app||", start: "app||" };
    const first = await store.list?.({ range, after: null, limit: 10, values: true }, call);
    assert.deepEqual([first?.rows, first?.next], [[], "app||actor||001000"]);
    const keys: string[] = [];
    let after: string | null = null;
    let pages = 0;
    do {
      const page: Awaited<ReturnType<NonNullable<typeof store.list>>> | undefined = await store.list?.(
        { range, after, limit: 1000, values: false },
        call,
      );
      keys.push(...(page?.rows ?? []).map(({ key }) => key));
      after = page?.next ?? null;
      pages++;
    } while (after !== null);
    assert.deepEqual([keys, pages], [["app||zz"], 3]);
    const [plan] = await query(
      name,
      "EXPLAIN SELECT id FROM state WHERE id >= 'app||z' AND id < 'app||{' ORDER BY id LIMIT 9",
    );
    assert.deepEqual([plan?.type, plan?.key], ["range", "PRIMARY"]);
  });

  it("is loaded under its name", async () => {
    assert.equal((await loadDriver("state.mysql"))?.type, "state.mysql");
  });
});
