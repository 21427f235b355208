// The rows of docs/differences.md that show on MySQL, over HTTP against a real MariaDB.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { toColumns } from "#sidecar/stores/mysql/layout.ts";
import { describeWithMysql, type MysqlServer, startMysql } from "#test/servers/mysql.ts";
import { PEM } from "#test/stores/pem.ts";
import { openStore, prepare, write } from "#test/unit/sidecar/stores/mysql/fixture.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const DAPR_TABLE = `CREATE TABLE state (id VARCHAR(255) NOT NULL PRIMARY KEY, value JSON NOT NULL, isbinary BOOLEAN NOT NULL,
  insertDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updateDate TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  eTag VARCHAR(36) NOT NULL, expiredate TIMESTAMP NULL, INDEX expiredate_idx (expiredate),
  row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, UNIQUE KEY row_id_uidx (row_id))`;

describeWithMysql("differences on MySQL", () => {
  let server: MysqlServer;
  let wire: WireSidecar;
  const to = "/v1.0/state/own";
  const toDapr = "/v1.0/state/dapr";

  before(async () => {
    server = await startMysql();
    await server.query("CREATE DATABASE dapr COLLATE utf8mb4_general_ci");
    await server.query(DAPR_TABLE, [], "dapr");
    const connectionString = server.dsn();
    const own = component("own", "state.mysql", { connectionString, schemaName: "own" });
    const dapr = component("dapr", "state.mysql", { connectionString, schemaName: "dapr" });
    wire = await startWire({ manifests: { "a.yaml": own, "b.yaml": dapr } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  const put = async (item: string, url = to): Promise<number> => (await ask(wire, "POST", url, `[${item}]`)).status;
  const text = async (key: string, url = to): Promise<string> => (await ask(wire, "GET", `${url}/${key}`)).text;

  it("Y1: keys that differ only in case or accents are different keys, and never meet in a table of Dapr's", async () => {
    for (const [key, value] of [
      ["y1", "1"],
      ["Y1", "2"],
    ] as const)
      await save(wire, key, value, to);
    assert.deepEqual([await text("y1"), await text("Y1")], ["1", "2"]);
    await save(wire, "y1", "1", toDapr);
    assert.equal(await put('{"key":"Y1","value":2}', toDapr), 400);
    assert.deepEqual([await text("y1", toDapr), await text("Y1", toDapr)], ["1", ""]);
  });

  it("Y2: first-write over an expired row writes", async () => {
    await save(wire, "y2", "1", to);
    await server.query("UPDATE state SET expiredate = NOW() - INTERVAL 1 DAY WHERE id LIKE '%y2'", [], "own");
    const item = '{"key":"y2","value":2,"options":{"concurrency":"first-write"}}';
    assert.equal(await put(item), 204);
    assert.equal(await put(item), 409);
    assert.equal(await text("y2"), "2");
  });

  it("Y3: an overwrite keeps the row, with its number and the time when it was made", async () => {
    const row = async (): Promise<unknown> =>
      (await server.query("SELECT row_id, insertDate FROM state WHERE id LIKE '%y3'", [], "own"))[0];
    await save(wire, "y3", "1", to);
    const before = await row();
    await save(wire, "y3", "2", to);
    assert.deepEqual(await row(), before);
  });

  it("Y4: a value lives for its whole TTL, and the time of its end is right in any time zone of the server", async () => {
    await server.query("SET GLOBAL time_zone = '+05:00'");
    try {
      const other = component("zone", "state.mysql", { connectionString: server.dsn(), schemaName: "zone" });
      const there = await startWire({ manifests: { "a.yaml": other } });
      try {
        const from = Date.now();
        await ask(there, "POST", "/v1.0/state/zone", [{ key: "y4", value: 1, metadata: { ttlInSeconds: "3600" } }]);
        const { headers } = await ask(there, "GET", "/v1.0/state/zone/y4");
        const ends = Date.parse(String(headers["metadata.ttlexpiretime"]));
        assert.ok(ends >= from + 3_600_000 && ends < Date.now() + 3_602_000, String(ends - from));
      } finally {
        await there.stop();
      }
    } finally {
      await server.query("SET GLOBAL time_zone = SYSTEM");
    }
  });

  it("Y5: a TTL that ends after January 2038 is refused", async () => {
    const item = '{"key":"y5","value":1,"metadata":{"ttlInSeconds":"2147483647"}}';
    assert.equal(await put(item), 400);
    assert.equal(await text("y5"), "");
  });

  it("Y6: pemContents and cleanupIntervalInSeconds count, and an authority means TLS", async () => {
    const faults = prepare({
      connectionString: server.dsn(),
      pemContents: PEM,
      cleanupIntervalInSeconds: "60",
    }).faults;
    assert.deepEqual(faults, []);
    const fields = { connectionString: server.dsn(), pemContents: PEM };
    await assert.rejects(openStore({ fields }), { code: "unavailable" });
    const contradiction = prepare({ connectionString: server.dsn("tls=false"), pemContents: PEM }).faults;
    assert.match(contradiction.map(describeFault).join(), /tls=custom beside pemPath or pemContents/);
  });

  it("Y7: the password may hold any character", async () => {
    await server.query("CREATE USER y7@'%' IDENTIFIED BY 'a/b?c@d:e'");
    await server.query("GRANT ALL ON *.* TO y7@'%'");
    const connectionString = `y7:a/b?c@d:e@tcp(127.0.0.1:${server.port})/`;
    const store = await openStore({ fields: { connectionString, schemaName: "y7" } });
    await store.close();
  });

  it("Y8: a table whose engine has no transactions is refused", async () => {
    await server.query("CREATE DATABASE y8 COLLATE latin1_swedish_ci");
    await server.query(`${DAPR_TABLE} ENGINE = MyISAM`, [], "y8");
    const fields = { connectionString: server.dsn(), schemaName: "y8" };
    await assert.rejects(openStore({ fields }), { code: "unavailable", message: /MyISAM, which has no transactions/ });
  });

  it("Y9: a key has at most 255 bytes", async () => {
    const key = "\u00e4".repeat(125);
    assert.equal(await put(JSON.stringify({ key: key.slice(0, 100), value: 1 })), 204);
    const { status, text: body } = await ask(wire, "POST", to, [{ key, value: 1 }]);
    assert.equal(status, 400);
    assert.match(body, /more than the 255 bytes/);
  });

  it("Y10: conditions of a transaction are compared with the state before its first change", async () => {
    await save(wire, "y10", "1", to);
    const etag = String((await ask(wire, "GET", `${to}/y10`)).headers.etag);
    const change = (value: number): object => ({ operation: "upsert", request: { key: "y10", value, etag } });
    const { status } = await ask(wire, "POST", `${to}/transaction`, { operations: [change(2), change(3)] });
    assert.deepEqual([status, await text("y10")], [204, "3"]);
    const again = await ask(wire, "POST", `${to}/transaction`, { operations: [change(4)] });
    assert.deepEqual([again.status, await text("y10")], [409, "3"]);
  });

  it("Y11: numbers keep all their digits on MariaDB, and are refused where the JSON type of MySQL changes them", async () => {
    const value = '{"b":12345678901234567890123, "a":1.50}';
    await save(wire, "y11", value, to);
    assert.equal(await text("y11"), value);
    const table = { parsesJson: true, charset: "utf8mb4", collation: "utf8mb4_0900_bin", packetBytesMax: 1 };
    const columns = (lossyValues: boolean): unknown =>
      toColumns(write("k", value), { table, lossyValues, valueBytesMax: null });
    assert.throws(() => columns(false), { code: "refused" });
    assert.deepEqual(columns(true), { value, isBinary: "0" });
  });
});
