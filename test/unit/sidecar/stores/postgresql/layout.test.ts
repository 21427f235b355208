// The rows in PostgreSQL, both ways: what this driver writes, looked at with SQL, and what Dapr writes, read here. The SQL
// in Dapr's place follows dapr-state-stores.md 3b, 3c, 4b and 4c.
import assert from "node:assert/strict";
import { chooseDriver } from "#sidecar/components/component-type.ts";
import { loadDriver } from "#sidecar/stores/registry.ts";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { call, deletion, onOneServer, read, removal, textOf, transact, upsert, VERSIONS, write } from "./fixture.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

type Row = Readonly<Record<string, unknown>>;

describeWithPostgres("the layout in PostgreSQL", () => {
  const { server, database, open } = onOneServer();

  async function rowIn(name: string, key: string): Promise<Row> {
    const [row] = await server().query("SELECT * FROM state WHERE key = $1", [key], name);
    return row ?? {};
  }

  async function columnsOf(name: string, table: string): Promise<readonly string[]> {
    const text = `SELECT column_name || ' ' || data_type || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
      || coalesce(' default ' || column_default, '') || coalesce(' ' || identity_generation, '') AS line
      FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position`;
    return (await server().query(text, [table], name)).map(({ line }) => String(line));
  }

  async function indexesOf(name: string): Promise<readonly string[]> {
    const rows = await server().query(
      "SELECT indexdef FROM pg_indexes WHERE tablename = 'state' ORDER BY indexname",
      [],
      name,
    );
    return rows.map(({ indexdef }) => String(indexdef));
  }

  async function metadataOf(name: string): Promise<Readonly<Record<string, unknown>>> {
    const rows = await server().query("SELECT key, value FROM dapr_metadata ORDER BY key", [], name);
    return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
  }

  it("has the tables of v1", async () => {
    const name = await database();
    await open("v1", name);
    assert.deepEqual(await columnsOf(name, "state"), [
      "key text not null",
      "value jsonb not null",
      "isbinary boolean not null",
      "insertdate timestamp with time zone not null default now()",
      "updatedate timestamp with time zone",
      "expiredate timestamp with time zone",
      "row_id bigint not null BY DEFAULT",
    ]);
    assert.deepEqual(await columnsOf(name, "dapr_metadata"), ["key text not null", "value text not null"]);
    assert.deepEqual(await indexesOf(name), [
      "CREATE UNIQUE INDEX state_pkey ON public.state USING btree (key)",
      "CREATE UNIQUE INDEX state_row_id_uidx ON public.state USING btree (row_id)",
    ]);
    assert.deepEqual(await metadataOf(name), { lock: "lock", migrations: "3" });
  });

  it("has the tables of v2", async () => {
    const name = await database();
    await open("v2", name);
    assert.deepEqual(await columnsOf(name, "state"), [
      "key text not null",
      "value bytea not null",
      "etag uuid not null default gen_random_uuid()",
      "created_at timestamp with time zone not null default now()",
      "updated_at timestamp with time zone",
      "expires_at timestamp with time zone",
      "row_id bigint not null BY DEFAULT",
    ]);
    assert.deepEqual(await indexesOf(name), [
      "CREATE INDEX state_expires_at_idx ON public.state USING btree (expires_at)",
      "CREATE UNIQUE INDEX state_pkey ON public.state USING btree (key)",
      "CREATE UNIQUE INDEX state_row_id_uidx ON public.state USING btree (row_id)",
    ]);
    assert.deepEqual(await metadataOf(name), { lock: "lock", "migrations-state-v2-": "2" });
  });

  it("keeps JSON as jsonb and raw bytes as base64 in v1", async () => {
    const name = await database();
    const store = await open("v1", name);
    await store.set(write("json", '{"b":1,"a":[1.50, 12345678901234567890]}'), call);
    await store.set(write("raw", "\u0000ÿ", { isJson: false }), call);
    const json = await rowIn(name, "json");
    assert.deepEqual([json.isbinary, json.updatedate, json.expiredate, json.row_id], [false, null, null, "1"]);
    assert.ok(json.insertdate instanceof Date);
    const texts = await server().query("SELECT value::text FROM state ORDER BY key", [], name);
    assert.deepEqual(
      texts.map(({ value }) => value),
      ['{"a": [1.50, 12345678901234567890], "b": 1}', '"AMO/"'],
    );
    assert.equal((await rowIn(name, "raw")).isbinary, true);
    assert.equal(await textOf(store, "raw"), "\u0000ÿ");
  });

  it("keeps bytes as bytea and a random ETag in v2", async () => {
    const name = await database();
    const store = await open("v2", name);
    await store.set(write("json", '{"b":1, "a":2}'), call);
    const before = await rowIn(name, "json");
    assert.deepEqual([before.value, before.updated_at, before.expires_at], [Buffer.from('{"b":1, "a":2}'), null, null]);
    assert.match(String(before.etag), UUID);
    await store.set(write("json", "2"), call);
    const after = await rowIn(name, "json");
    assert.match(String(after.etag), UUID);
    assert.notEqual(after.etag, before.etag);
    assert.deepEqual(after.created_at, before.created_at);
  });

  for (const [version, created, updated, expires] of [
    ["v1", "insertdate", "updatedate", "expiredate"],
    ["v2", "created_at", "updated_at", "expires_at"],
  ] as const) {
    it(`notes in ${version} when a row was made, changed and ends, alone and in a transaction`, async () => {
      const name = await database();
      const store = await open(version, name);
      const put = [
        (ttlSec: number | null) => store.set(write("k", "1", { ttlSec }), call),
        (ttlSec: number | null) => transact(store, [upsert("k", "2", { ttlSec }), upsert("other", "2")]),
        async (ttlSec: number | null) =>
          store.set(write("k", "3", { ttlSec, etag: (await store.get("k", read, call))?.etag ?? "" }), call),
      ];
      await store.set(write("k", "0"), call);
      const first = await rowIn(name, "k");
      for (const each of put) {
        await each(100);
        const row = await rowIn(name, "k");
        assert.deepEqual(row[created], first[created]);
        assert.ok(row[updated] instanceof Date);
        assert.equal(Number(row[expires]) - Number(row[updated]), 100_000);
        const found = await store.get("k", read, call);
        // The client that looks here cuts off what the server has beyond milliseconds.
        assert.ok(Math.abs((found?.expiresAtMs ?? 0) - Number(row[expires])) <= 1);
        await each(null);
        assert.equal((await rowIn(name, "k"))[expires], null);
      }
      await transact(store, [deletion("k"), upsert("k", "5")]);
      const made = await rowIn(name, "k");
      assert.notDeepEqual(made[created], first[created]);
      assert.equal(made[updated], null);
    });
  }

  it("reads and writes what Dapr wrote in v1", async () => {
    const name = await database();
    const store = await open("v1", name);
    const insert = `INSERT INTO state (key, value, isbinary, expiredate) VALUES ($1, $2, $3, $4) RETURNING xmin::text`;
    const dapr = async (key: string, value: string, isBinary: boolean, expires: Date | null): Promise<unknown> =>
      (await server().query(insert, [key, value, isBinary, expires], name))[0]?.xmin;
    const etag = await dapr("json", '{"a":"b"}', false, null);
    await dapr("raw", '"AQID"', true, null);
    const soon = new Date(Date.now() + 3_600_000);
    await dapr("ends", "1", false, soon);
    await dapr("ended", "1", false, new Date(Date.now() - 1000));
    const found = await store.get("json", read, call);
    assert.deepEqual([String(found?.bytes), found?.etag], ['{"a": "b"}', etag]);
    assert.deepEqual((await store.get("raw", read, call))?.bytes, Buffer.from([1, 2, 3]));
    assert.equal((await store.get("ends", read, call))?.expiresAtMs, soon.getTime());
    assert.equal(await store.get("ended", read, call), null);
    await store.set(write("json", "1", { etag: `00${etag}` }), call);
    await store.set(write("ended", "2", { firstWrite: true }), call);
    assert.equal(await textOf(store, "ended"), "2");
  });

  it("lets Dapr's own conditional statements find the ETags that it gives", async () => {
    const name = await database();
    const [v1, v2] = [await open("v1", name), await open("v2", name, { tablePrefix: "v2_" })];
    for (const store of [v1, v2]) await store.set(write("k", "1"), call);
    const xmin = Number((await v1.get("k", read, call))?.etag);
    const first = await server().query(
      "UPDATE state SET value = '2' WHERE key = 'k' AND xmin = $1 RETURNING key",
      [xmin],
      name,
    );
    assert.equal(first.length, 1);
    const etag = (await v2.get("k", read, call))?.etag;
    const text =
      "UPDATE v2_state SET value = '2', etag = gen_random_uuid() WHERE key = 'k' AND etag = $1 RETURNING key";
    assert.equal((await server().query(text, [etag], name)).length, 1);
    for (const store of [v1, v2]) assert.equal(await textOf(store, "k"), "2");
  });

  it("refuses ETags of the other form with the code of its version", async () => {
    const name = await database();
    const [v1, v2] = [await open("v1", name), await open("v2", name, { tablePrefix: "v2_" })];
    for (const store of [v1, v2]) await store.set(write("k", "1"), call);
    const uuid = (await v2.get("k", read, call))?.etag ?? "";
    for (const etag of [uuid, "-1", "+1", "4294967296", "1.0", "0x1"]) {
      await assert.rejects(v1.set(write("k", "2", { etag }), call), { code: "etag-invalid" });
      await assert.rejects(v1.remove(removal("k", { etag }), call), { code: "etag-invalid" });
    }
    for (const etag of ["1", uuid.toUpperCase(), `{${uuid}}`, `urn:uuid:${uuid}`, uuid.replaceAll("-", "")]) {
      await assert.rejects(v2.set(write("k", "2", { etag }), call), { code: "etag-mismatch" });
      await assert.rejects(v2.remove(removal("k", { etag }), call), { code: "etag-mismatch" });
    }
  });

  it("calls raw bytes that are no base64 corrupt, alone and among others", async () => {
    const name = await database();
    const store = await open("v1", name);
    await server().query(
      `INSERT INTO state (key, value, isbinary) VALUES ('a', '"no base64!"', true), ('b', '{"a":1}', true)`,
      [],
      name,
    );
    await store.set(write("c", "1"), call);
    for (const key of ["a", "b"]) await assert.rejects(store.get(key, read, call), { code: "corrupt" });
    const items = await store.getMany?.(["a", "c"], read, call);
    assert.deepEqual(
      items?.map((item) => (item === null || "etag" in item ? "found" : item.code)),
      ["corrupt", "found"],
    );
  });

  it("leaves rows that are not in the layout out of pages, with values and without, of counts and of deletes", async () => {
    const name = await database();
    const store = await open("v1", name);
    const broken = ["no base64!", "QUJ", "QUJDR===", "QQ=", "QR==", "QUJ=QUJD", "QUJD\n", "=", "Q", "_-_-", "QUK="];
    const whole = ["", "QQ==", "QUI=", "QUJD", "+/+/"];
    const insert = "INSERT INTO state (key, value, isbinary) VALUES ($1, to_jsonb($2::text), true)";
    for (const text of broken) await server().query(insert, [`broken ${text}`, text], name);
    for (const text of whole) await server().query(insert, [`whole ${text}`, text], name);
    const others = `INSERT INTO state (key, value, isbinary) VALUES ('object', '{"a":1}', true), ('null', 'null', true)`;
    await server().query(others, [], name);
    const range = { scope: "", start: "" };
    const keys = whole.map((text) => `whole ${text}`).sort();
    for (const text of broken) await assert.rejects(store.get(`broken ${text}`, read, call), { code: "corrupt" });
    for (const values of [true, false]) {
      const page = await store.list?.({ range, after: null, limit: 100, values }, call);
      assert.deepEqual(
        page?.rows.map(({ key }) => key),
        keys,
      );
    }
    assert.equal(await store.count?.(range, call), keys.length);
    assert.equal(await store.removeRange?.(range, 100, call), keys.length);
    const [left] = await server().query("SELECT count(*)::int AS count FROM state", [], name);
    assert.equal(left?.count, broken.length + 2);
  });

  it("refuses in v1 what jsonb would change, and in no other layout", async () => {
    const name = await database();
    const [v1, v2] = [await open("v1", name), await open("v2", name, { tablePrefix: "v2_" })];
    const lossy = await open("v1", name, { lossyValues: "true", tableName: "lossy" });
    const expanding = `[${new Array(10_000).fill("1e400").join(",")}]`;
    for (const text of ['"\\u0000"', '"\\ud800"', "-0", "1e401", expanding]) {
      await assert.rejects(v1.set(write("k", text), call), { code: "refused", message: /^the value holds / });
      const inside = transact(v1, [upsert("j", "1"), upsert("k", text)]);
      await assert.rejects(inside, { code: "refused", message: /^change 2 of 2: the value holds / });
      await v2.set(write("k", text), call);
      assert.equal(await textOf(v2, "k"), text);
    }
    assert.deepEqual([await textOf(v1, "k"), await textOf(v1, "j")], [null, null]);
    await lossy.set(write("k", '["\\ud800",-0]'), call);
    assert.equal(await textOf(lossy, "k"), '["\ufffd", 0]');
    await assert.rejects(lossy.set(write("k", '"\\u0000"'), call), { code: "refused", message: /use version v2/ });
  });

  it("refuses a number that PostgreSQL cannot hold", async () => {
    const store = await open("v1", await database());
    const digits = "1".repeat(140_000);
    await assert.rejects(store.set(write("k", digits), call), { code: "refused", message: /number of this size/ });
    await store.set(write("k", "1e400"), call);
    assert.equal(await textOf(store, "k"), `1${"0".repeat(400)}`);
  });

  it("keeps a key and a value that look like SQL", async () => {
    for (const version of VERSIONS) {
      const store = await open(version, await database());
      for (const text of ["DROP TABLE state", "dapr' OR '1'='1", "$1", "%s"]) {
        await store.set(write(text, JSON.stringify(text)), call);
        assert.equal(await textOf(store, text), JSON.stringify(text));
        await store.remove(removal(text), call);
        assert.equal(await textOf(store, text), null);
      }
    }
  });

  it("is chosen by the version of the Component, v1 without one, under both names of the type", async () => {
    const choices: [type: string, version: string, want: string][] = [
      ["state.postgresql", "", "v1"],
      ["state.postgres", "V1", "v1"],
      ["state.postgres", "v2", "v2"],
    ];
    for (const [type, version, want] of choices) {
      const chosen = await chooseDriver(type, version, loadDriver);
      assert.ok("driver" in chosen);
      assert.equal(chosen.version, want);
      assert.equal("lossyValues" in chosen.driver.fields, want === "v1");
    }
    const chosen = await chooseDriver("state.postgresql", "v3", loadDriver);
    assert.ok("fault" in chosen && chosen.fault.want.startsWith("v1 or v2: "));
  });
});
