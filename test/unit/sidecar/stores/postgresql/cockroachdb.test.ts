// state.cockroachdb and state.yugabytedb on a PostgreSQL that stands in for them: layout, ETags, transactions that are undone
// for meeting another one, and what is said about servers that nobody has tried.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import { describeFault } from "#kit/fault.ts";
import { systemRandom } from "#kit/random.ts";
import { driver as cockroach } from "#sidecar/stores/postgresql/cockroachdb.ts";
import { driver as yugabyte } from "#sidecar/stores/postgresql/yugabytedb.ts";
import { loadDriver } from "#sidecar/stores/registry.ts";
import type { PreparedStore, Store, StoreDriver } from "#sidecar/stores/store.ts";
import { makeStandIn } from "#test/servers/cockroachdb.ts";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { call, deletion, listeningLog, onOneServer, read, textOf, transact, upsert, write } from "./fixture.ts";

type Fields = Readonly<Record<string, string>>;

function version(of: StoreDriver, name: string): StoreDriver {
  return of.byVersion?.[name] ?? of;
}

function prepared(driver: StoreDriver, fields: Fields): PreparedStore {
  return driver.decode(
    Object.entries(fields).map(([name, value]) => ({ name, value, secret: false })),
    [],
  );
}

const V1 = version(cockroach, "v1");
const V2 = version(cockroach, "v2");

describeWithPostgres("CockroachDB's driver on a PostgreSQL", () => {
  const { server, keep } = onOneServer();
  let made = 0;

  async function standIn(): Promise<string> {
    const name = `standin${++made}`;
    await makeStandIn(server(), name);
    return name;
  }

  async function open(driver: StoreDriver, name: string, fields: Fields = {}, log = listeningLog()): Promise<Store> {
    const store = await prepared(driver, { connectionString: server().url(name), ...fields }).open({
      component: "test",
      appId: "app",
      clock: systemClock,
      random: systemRandom,
      log,
      signal: AbortSignal.timeout(30_000),
    });
    return keep(store, () => store.close());
  }

  const etagOf = async (store: Store, key: string): Promise<string | null | undefined> =>
    (await store.get(key, read, call))?.etag;

  it("counts the writes of a key of v1, however it is written", async () => {
    const store = await open(V1, await standIn());
    const writes: (() => Promise<unknown>)[] = [
      () => store.set(write("k", "1"), call),
      () => store.set(write("k", "2"), call),
      () => store.set(write("k", "3"), call),
      () => store.set(write("k", "4", { etag: "3" }), call),
      () => transact(store, [upsert("k", "5"), upsert("other", "1")]),
      () => transact(store, [upsert("k", "6", { etag: "5" }), deletion("other")]),
    ];
    for (const [index, run] of writes.entries()) {
      await run();
      assert.equal(await etagOf(store, "k"), String(index + 1));
    }
    for (const etag of ["x", "-1", "1.5", "4294967296"])
      await assert.rejects(store.set(write("k", "7", { etag }), call), { code: "etag-invalid" });
  });

  it("asks whether a PostgreSQL is what the type says", async () => {
    await server().query("CREATE DATABASE plain");
    await assert.rejects(open(V1, "plain"), { code: "failed", message: /is it another database than the type says/ });
  });

  it("raises the ETag of a row that a first-write takes over from an expired value", async () => {
    const name = await standIn();
    const store = await open(V1, name);
    await store.set(write("k", "1", { ttlSec: 100 }), call);
    await server().query("UPDATE state SET expiredate = now() - interval '1 second'", [], name);
    await store.set(write("k", "2", { firstWrite: true }), call);
    assert.equal(await etagOf(store, "k"), "2");
  });

  it("makes the tables of v1 as Dapr does", async () => {
    const name = await standIn();
    await open(V1, name);
    const columns = `SELECT string_agg(concat_ws(' ', column_name, data_type, is_nullable, column_default), ', ' ORDER BY
      ordinal_position) AS text FROM information_schema.columns WHERE table_name = 'state'`;
    const [row] = await server().query(columns, [], name);
    assert.equal(
      row?.text,
      "key text NO, value jsonb NO, isbinary boolean NO, etag integer YES, insertdate timestamp with time zone NO now(), " +
        "updatedate timestamp with time zone YES, expiredate timestamp with time zone YES, row_id bigint NO unique_rowid()",
    );
    const indexes = await server().query(
      "SELECT indexname FROM pg_indexes WHERE tablename = 'state' ORDER BY 1",
      [],
      name,
    );
    assert.deepEqual(
      indexes.map(({ indexname }) => indexname),
      ["state_expiredate_idx", "state_pkey", "state_row_id_key"],
    );
    assert.deepEqual(await server().query("SELECT key FROM dapr_metadata", [], name), []);
  });

  it("completes a table of an older Dapr, and finds it complete the next time", async () => {
    const name = await standIn();
    const older = `CREATE TABLE state (key text NOT NULL PRIMARY KEY, value jsonb NOT NULL, isbinary boolean NOT NULL, etag INT,
      insertdate timestamptz NOT NULL DEFAULT now(), updatedate timestamptz NULL);
      INSERT INTO state VALUES ('old', '{"n": 1}', false, NULL), ('raw', '"AP8="', true, 7)`;
    await server().query(older, [], name);
    for (let turn = 0; turn < 2; turn++) {
      const store = await open(V1, name);
      assert.equal(await textOf(store, "old"), '{"n": 1}');
      assert.equal(await etagOf(store, "old"), null);
      assert.deepEqual((await store.get("raw", read, call))?.bytes, Buffer.from([0, 255]));
    }
    const store = await open(V1, name);
    await store.set(write("old", "2"), call);
    assert.equal(await etagOf(store, "old"), "1");
    const [row] = await server().query("SELECT count(DISTINCT row_id)::int AS count FROM state", [], name);
    assert.equal(row?.count, 2);
  });

  it("goes on with the completing that another start did not finish", async () => {
    const indexes = "SELECT 1 FROM pg_index WHERE indrelid = 'state'::regclass AND indisunique AND NOT indisprimary";
    const nulls = "SELECT 1 FROM state WHERE row_id IS NULL";
    for (const [driver, older] of [
      [
        V1,
        "value jsonb NOT NULL, isbinary boolean NOT NULL DEFAULT false, etag INT, insertdate timestamptz NOT NULL DEFAULT now(), updatedate timestamptz, expiredate timestamptz, row_id INT8",
      ],
      [
        V2,
        "value bytea NOT NULL, etag uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, expires_at timestamptz, row_id INT8",
      ],
      [
        V2,
        "value bytea NOT NULL, etag uuid NOT NULL DEFAULT gen_random_uuid(), created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, expires_at timestamptz, row_id INT8 GENERATED BY DEFAULT AS IDENTITY",
      ],
    ] as const) {
      const name = await standIn();
      await server().query(`CREATE TABLE state (key text NOT NULL PRIMARY KEY, ${older})`, [], name);
      await server().query("INSERT INTO state (key, value) VALUES ('a', '1'), ('b', '2')", [], name);
      // As where a row came before the sequence was set.
      await server().query("UPDATE state SET row_id = 1 WHERE row_id = 2", [], name);
      const store = await open(driver, name);
      await store.set(write("c", "3"), call);
      assert.deepEqual(await server().query(nulls, [], name), []);
      assert.equal((await server().query(indexes, [], name)).length, 1, older);
    }
  });

  it("takes a table in a schema, at every start", async () => {
    const name = await standIn();
    await server().query("CREATE SCHEMA shop", [], name);
    const fields = { tableName: "shop.orders", metadataTableName: "shop.meta" };
    for (let turn = 0; turn < 2; turn++) await (await open(V1, name, fields)).set(write("k", "1"), call);
    assert.equal((await server().query("SELECT 1 FROM shop.orders", [], name)).length, 1);
  });

  it("opens several stores at once on an empty database", async () => {
    for (const driver of [V1, V2, yugabyte]) {
      const name = await standIn();
      const stores = await Promise.all(Array.from({ length: 4 }, () => open(driver, name)));
      for (const store of stores) await store.set(write("k", "1"), call);
    }
  });

  it("refuses a table of PostgreSQL's version v1, which has no ETag", async () => {
    const name = await standIn();
    const postgresql = await loadDriver("state.postgresql");
    assert.ok(postgresql !== null);
    await open(version(postgresql, "v1"), name);
    await server().query("ALTER TABLE state DROP COLUMN row_id", [], name);
    await assert.rejects(open(V1, name), { code: "corrupt", message: /has no column etag/ });
    const text = "SELECT 1 FROM information_schema.columns WHERE table_name = 'state' AND column_name = 'row_id'";
    assert.deepEqual(await server().query(text, [], name), []);
  });

  /** Every third insert ends well; the others are undone, or nobody knows. */
  async function hurt(name: string, sqlState: string): Promise<void> {
    const text = `CREATE SEQUENCE tries;
      CREATE FUNCTION hurt() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF nextval('tries') % 3 > 0 THEN RAISE EXCEPTION 'met' USING ERRCODE = '${sqlState}'; END IF; RETURN new; END $$;
      CREATE TRIGGER hurt BEFORE INSERT ON state FOR EACH STATEMENT EXECUTE FUNCTION hurt()`;
    await server().query(text, [], name);
  }

  it("tries again what the server undid because it met another one", async () => {
    for (const driver of [V1, V2, yugabyte]) {
      const name = await standIn();
      const store = await open(driver, name);
      await hurt(name, "40001");
      await store.set(write("single", "1"), call);
      await transact(store, [upsert("a", "1"), upsert("b", "1")]);
      assert.deepEqual([await textOf(store, "single"), await textOf(store, "b")], ["1", "1"]);
    }
  });

  it("leaves open what the server does not know, and does not try it again", async () => {
    const name = await standIn();
    const store = await open(V2, name);
    await hurt(name, "40003");
    const unsure = { code: "unknown-outcome", message: /^cockroachdb at 127\.0\.0\.1:\d+ does not know whether/ };
    await assert.rejects(store.set(write("k", "1"), call), unsure);
    const [row] = await server().query("SELECT last_value::int AS tries FROM tries", [], name);
    assert.equal(row?.tries, 1);
  });

  for (const [sqlState, code] of [
    ["57014", "timeout"],
    ["XX000", "unknown-outcome"],
    ["58C00", "unknown-outcome"],
  ] as const)
    it(`takes ${sqlState} for no proof that a write was not made`, async () => {
      for (const driver of [V1, V2, yugabyte]) {
        const name = await standIn();
        const store = await open(driver, name);
        await hurt(name, sqlState);
        const unsure = { code, message: new RegExp(`does not know whether the change was made.*SQLSTATE ${sqlState}`) };
        await assert.rejects(store.set(write("k", "1"), call), unsure);
        const [row] = await server().query("SELECT last_value::int AS tries FROM tries", [], name);
        assert.equal(row?.tries, 1);
        // Within a transaction nothing is made before its end.
        await assert.rejects(transact(store, [upsert("a", "1"), upsert("b", "1")]), (error: Error) => {
          assert.doesNotMatch(error.message, /does not know/);
          return true;
        });
      }
    });

  it("calls what the server has not by its name, and nothing that was prepared", async () => {
    const name = await standIn();
    const store = await open(V2, name, { queryExecMode: "exec" });
    await hurt(name, "0A000");
    await assert.rejects(store.set(write("k", "1"), call), {
      code: "failed",
      message:
        /does not support a statement of this driver; is it older than docs\/stores ask for\? \(SQLSTATE 0A000\)/,
    });
    const [row] = await server().query("SELECT last_value::int AS tries FROM tries", [], name);
    assert.equal(row?.tries, 1);
  });

  it("asks for serializable transactions, whatever the server's default", async () => {
    const name = await standIn();
    await server().query(`ALTER DATABASE ${name} SET default_transaction_isolation = 'read committed'`);
    const store = await open(V2, name);
    const text = `CREATE TABLE seen (what text);
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO seen VALUES (current_setting('transaction_isolation')); RETURN new; END $$;
      CREATE TRIGGER see BEFORE INSERT ON state FOR EACH ROW EXECUTE FUNCTION see()`;
    await server().query(text, [], name);
    await transact(store, [upsert("a", "1")]);
    assert.deepEqual(await server().query("SELECT what FROM seen", [], name), [{ what: "serializable" }]);
  });

  it("warns at each start that nobody has tried it", async () => {
    for (const [driver, type] of [
      [V1, "cockroachdb"],
      [V2, "cockroachdb"],
      [yugabyte, "yugabytedb"],
    ] as const) {
      const log = listeningLog();
      await open(driver, await standIn(), {}, log);
      assert.match(log.warnings.join("\n"), new RegExp(`state\\.${type} was never run against a real server`));
    }
  });

  it("lists no keys on YugabyteDB, where a walk would read the whole table", async () => {
    const store = await open(yugabyte, await standIn());
    assert.deepEqual(
      [store.features.list, store.list, store.count, store.removeRange],
      [false, undefined, undefined, undefined],
    );
    assert.equal(await loadDriver("state.yugabyte"), yugabyte);
  });
});

describe("the fields of state.cockroachdb", () => {
  const connectionString = "postgres://u@h/d";
  const faults = (driver: StoreDriver, more: Fields): string =>
    prepared(driver, { connectionString, ...more })
      .faults.map((fault) => `${fault.severity} ${describeFault(fault)}`)
      .join("\n");

  it("have no tokens in v1, and those of PostgreSQL in v2", () => {
    assert.match(faults(V1, { useAWSIAM: "true", awsRegion: "x" }), /^error useAWSIAM: .*signs in by a password/);
    assert.match(faults(V1, { useAzureAD: "true" }), /^error useAzureAD/);
    assert.equal(faults(V2, { useAWSIAM: "true", awsRegion: "x" }), "");
    assert.equal(faults(yugabyte, { tablePrefix: "a_" }), "");
  });
});
