// Tables that are found: older ones are completed, others are refused and left as they are; and expired rows leave them.
import assert from "node:assert/strict";
import { describeWithMysql } from "#test/servers/mysql.ts";
import { call, eventually, listeningLog, onOneServer, textOf, write } from "./fixture.ts";

const OLD = `CREATE TABLE state (id VARCHAR(255) NOT NULL PRIMARY KEY, value JSON NOT NULL, isbinary BOOLEAN NOT NULL,
  insertDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updateDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, eTag VARCHAR(36) NOT NULL)`;

describeWithMysql("the tables of MySQL", () => {
  const { server, schema, open, query } = onOneServer();

  async function emptySchema(): Promise<string> {
    const name = schema();
    await server().query(`CREATE DATABASE ${name}`);
    return name;
  }

  it("are made with their schema, by many stores at once", async () => {
    const name = schema();
    const stores = await Promise.all(Array.from({ length: 6 }, () => open(name)));
    await Promise.all(stores.map((store, index) => store.set(write(`k${index}`, "1"), call)));
    assert.equal((await query(name, "SELECT id FROM state")).length, 6);
  });

  it("are made over connections that end then", async () => {
    const sessions = (): Promise<readonly unknown[]> =>
      query(
        "mysql",
        "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE DB IS NULL AND USER = 'root' AND COMMAND <> 'Daemon'",
      );
    const none = (): Promise<void> => eventually(async () => assert.deepEqual(await sessions(), []));
    await none();
    await open(schema());
    // The server may end them a little later than the client.
    await none();
  });

  it("of an older Dapr are completed, with their rows", async () => {
    const name = await emptySchema();
    await query(name, OLD);
    await query(name, "INSERT INTO state (id, value, isbinary, eTag) VALUES ('b', '1', 0, 'e'), ('a', '2', 0, 'e')");
    const stores = await Promise.all([open(name), open(name), open(name)]);
    const columns = await query(name, "SHOW COLUMNS FROM state");
    assert.deepEqual(columns.map((column) => column.Field).slice(-2), ["expiredate", "row_id"]);
    const rows = await query(name, "SELECT id, row_id FROM state ORDER BY row_id");
    assert.deepEqual(
      rows.map(({ id, row_id }) => [id, Number(row_id)]),
      [
        ["a", 1],
        ["b", 2],
      ],
    );
    for (const store of stores) assert.equal(await textOf(store, "b"), "1");
  });

  it("of something else are refused, and left as they are", async () => {
    const name = await emptySchema();
    await query(name, "CREATE TABLE state (id VARCHAR(255) PRIMARY KEY, value TEXT)");
    await assert.rejects(open(name), {
      code: "corrupt",
      message: /has no column isbinary, insertdate, updatedate, etag, expiredate: it is not in the layout/,
    });
    assert.equal((await query(name, "SHOW COLUMNS FROM state")).length, 2);
    const store = await open(name, { tableName: "mine", metadataTableName: "mine_too" });
    await store.set(write("k", "1"), call);
    assert.equal((await query(name, "SELECT id FROM mine")).length, 1);
  });

  it("without transactions are refused, with what to do", async () => {
    const name = await emptySchema();
    await query(name, `${OLD} ENGINE = Aria TRANSACTIONAL = 0`);
    await assert.rejects(open(name), {
      code: "unavailable",
      message: /the engine Aria, which has no transactions. Run ALTER TABLE/,
    });
    await query(name, "ALTER TABLE state ENGINE = InnoDB");
    await open(name);
  });

  it("lose what has expired, and nothing else", async () => {
    const name = schema();
    const store = await open(name, { cleanupInterval: "300ms" });
    const insert = `INSERT INTO state (id, value, isbinary, eTag, expiredate)
      SELECT CONCAT(?, seq), '1', 0, 'e', NOW() + INTERVAL ? SECOND FROM seq_1_to_2500`;
    await query(name, insert, ["old", -5]);
    await query(name, insert, ["young", 3600]);
    await store.set(write("stays", "1"), call);
    const count = async (): Promise<number> => Number((await query(name, "SELECT COUNT(*) AS n FROM state"))[0]?.n);
    await eventually(async () => assert.equal(await count(), 2501));
    const [last] = await query(
      name,
      "SELECT ABS(TIMESTAMPDIFF(SECOND, value, NOW())) AS ago FROM dapr_metadata WHERE id = 'last-cleanup'",
    );
    assert.ok(Number(last?.ago) < 10, String(last?.ago));
  });

  it("keep the time of the last cleanup by the server's time zone, as Dapr does", async () => {
    await query("mysql", "SET GLOBAL time_zone = '+05:00'");
    try {
      const name = schema();
      await open(name, { cleanupInterval: "100ms" });
      const text =
        "SELECT ABS(TIMESTAMPDIFF(SECOND, value, NOW())) AS ago FROM dapr_metadata WHERE id = 'last-cleanup'";
      await eventually(async () => assert.ok(Number((await query(name, text))[0]?.ago) < 10));
    } finally {
      await query("mysql", "SET GLOBAL time_zone = SYSTEM");
    }
  });

  it("are left to the sidecar that was there first, and never cleaned up at zero", async () => {
    const name = schema();
    const log = listeningLog();
    await open(name, { cleanupInterval: "200ms" }, log);
    await open(name, { cleanupInterval: "0" });
    await query(name, "REPLACE INTO dapr_metadata VALUES ('last-cleanup', NOW() + INTERVAL 1 HOUR)");
    await query(
      name,
      "INSERT INTO state (id, value, isbinary, eTag, expiredate) VALUES ('old', '1', 0, 'e', NOW() - INTERVAL 1 DAY)",
    );
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal((await query(name, "SELECT id FROM state")).length, 1);
    await query(name, "UPDATE dapr_metadata SET value = NOW() - INTERVAL 1 HOUR");
    await eventually(async () => assert.equal((await query(name, "SELECT id FROM state")).length, 0));
    assert.deepEqual(log.warnings, []);
  });

  it("are cleaned up again after a failure, of which a warning tells", async () => {
    const name = schema();
    const log = listeningLog();
    await open(name, { cleanupInterval: "100ms" }, log);
    await query(name, "RENAME TABLE dapr_metadata TO away");
    await eventually(async () => assert.match(log.warnings.join(), /cleanup of expired rows failed.*no such table/));
    await query(
      name,
      "INSERT INTO state (id, value, isbinary, eTag, expiredate) VALUES ('old', '1', 0, 'e', NOW() - INTERVAL 1 DAY)",
    );
    await query(name, "RENAME TABLE away TO dapr_metadata");
    await eventually(async () => assert.equal((await query(name, "SELECT id FROM state")).length, 0));
  });
});
