// Walks over keys: by an index, in steps that are bounded, in databases that order texts by bytes and by words.
import assert from "node:assert/strict";
import { v1Layout, v2Layout } from "#sidecar/stores/postgresql/layout.ts";
import type { Statement } from "#sidecar/stores/postgresql/session.ts";
import { tablesOf } from "#sidecar/stores/postgresql/statements.ts";
import { bounds, walkStatements } from "#sidecar/stores/postgresql/walk.ts";
import type { ListPage, Store } from "#sidecar/stores/store.ts";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { call, eventually, listeningLog, onOneServer, VERSIONS, write } from "./fixture.ts";

const ORDERS = {
  "of bytes": "TEMPLATE template0 LC_COLLATE 'C'",
  "of words": "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
} as const;

const RANGE = { scope: "app||", start: "app||k5" };

async function list(store: Store, after: string | null = null, limit = 100): Promise<ListPage> {
  const page = await store.list?.({ range: RANGE, after, limit, values: false }, call);
  assert.ok(page !== undefined);
  return page;
}

describeWithPostgres("walks over keys in PostgreSQL", () => {
  const { server, database, open } = onOneServer();

  const hasIndex = async (name: string): Promise<boolean> => {
    const text = `SELECT 1 FROM pg_index JOIN pg_class ON oid = indexrelid
      WHERE relname = 'pannier_state_key' AND indisvalid`;
    const rows = await server().query(text, [], name);
    return rows.length > 0;
  };

  /** Many rows of this app, of actors and of other apps. */
  async function fill(name: string, version: "v1" | "v2"): Promise<void> {
    const columns = version === "v1" ? "(key, value, isbinary) SELECT k, '1', false" : "(key, value) SELECT k, '1'";
    const keys = `SELECT 'app||k' || n AS k FROM generate_series(1, 20000) n
      UNION ALL SELECT 'app||k5||Actor||' || n FROM generate_series(1, 20000) n
      UNION ALL SELECT 'other||k' || n FROM generate_series(1, 20000) n`;
    await server().query(`INSERT INTO state ${columns} FROM (${keys}) AS keys; ANALYZE state`, [], name);
  }

  async function planOf(name: string, statement: Statement, values: readonly unknown[]): Promise<string> {
    const text = `PREPARE walk AS ${statement.text};`;
    const shown = values.map((value) => (typeof value === "number" ? String(value) : `'${value}'`)).join(", ");
    // A prepared statement is planned without its values after some use: that plan has to be good.
    const rows = await server().query(
      `SET plan_cache_mode = force_generic_plan; ${text} EXPLAIN EXECUTE walk(${shown})`,
      [],
      name,
    );
    return rows.map((row) => String(row["QUERY PLAN"])).join("\n");
  }

  for (const [order, options] of Object.entries(ORDERS)) {
    for (const version of VERSIONS) {
      it(`go by an index in ${version}, in the order ${order}`, async () => {
        const name = await database(options);
        const store = await open(version, name);
        await fill(name, version);
        await list(store);
        const isByteOrder = order === "of bytes";
        if (!isByteOrder) await eventually(async () => assert.equal(await hasIndex(name), true));
        assert.equal(await hasIndex(name), !isByteOrder);
        const tables = tablesOf("state", "dapr_metadata");
        assert.ok(tables !== null);
        const layout = version === "v1" ? v1Layout({ lossyValues: false }) : v2Layout;
        const sql = walkStatements(layout, tables, isByteOrder);
        const range = bounds(RANGE, null);
        const plans = [
          await planOf(name, sql.keys, [...range, 1000, 100]),
          await planOf(name, sql.values, [...range, 1000, 100, 1_000_000]),
          await planOf(name, sql.count, range),
          await planOf(name, sql.remove, [...range, 100]),
        ];
        for (const plan of plans) {
          assert.match(plan, isByteOrder ? /state_pkey/ : /pannier_state_key/);
          assert.doesNotMatch(plan, /Seq Scan/);
          assert.match(plan, /Index Cond: \(+key\)?(::text)? >= /);
        }
      });
    }
  }

  it("look at so many rows for a page and no more, and reach the end all the same", async () => {
    const name = await database(ORDERS["of bytes"]);
    const store = await open("v2", name);
    await fill(name, "v2");
    let page = await list(store, null, 10);
    const keys = page.rows.map(({ key }) => key);
    let empty = 0;
    while (page.next !== null) {
      page = await list(store, page.next, 10);
      keys.push(...page.rows.map(({ key }) => key));
      if (page.rows.length === 0) empty++;
    }
    // 20,000 rows of actors lie between "app||k5" and "app||k50", a thousand of them looked at for each page.
    assert.ok(empty >= 19, `${empty} pages without a row`);
    assert.equal(keys.length, 1111);
    assert.deepEqual(keys, keys.toSorted());
    assert.equal(await store.count?.(RANGE, call), 1111);
  });

  it("tell and count before there is an index, and remove within the range only", async () => {
    const name = await database(ORDERS["of words"]);
    const store = await open("v1", name);
    await fill(name, "v1");
    assert.equal(await store.count?.(RANGE, call), 1111);
    assert.equal(await store.removeRange?.(RANGE, 1000, call), 1000);
    assert.equal(await store.removeRange?.(RANGE, 1000, call), 111);
    assert.equal(await store.removeRange?.(RANGE, 1000, call), 0);
    const [row] = await server().query("SELECT count(*)::int AS count FROM state", [], name);
    assert.equal(row?.count, 60_000 - 1111);
  });

  it("warn when they may not have their index, and go on without", async () => {
    const name = await database(ORDERS["of words"]);
    await (await open("v2", name)).close();
    await server().query(`CREATE USER walker; GRANT ALL ON state, dapr_metadata TO walker`, [], name);
    const log = listeningLog();
    const store = await open("v2", name, { user: "walker" }, log);
    await store.set(write("app||k5", "1"), call);
    assert.deepEqual((await list(store)).rows, [{ key: "app||k5", found: null }]);
    await eventually(async () => assert.equal(log.warnings.length, 1));
    assert.match(log.warnings[0] ?? "", /no index for walks.*42501.*CREATE INDEX CONCURRENTLY IF NOT EXISTS/);
    await list(store);
    assert.equal(log.warnings.length, 1);
  });

  it("warn of an index that was not finished", async () => {
    const name = await database(ORDERS["of words"]);
    const log = listeningLog();
    const store = await open("v2", name, {}, log);
    await server().query('CREATE INDEX pannier_state_key ON state (key COLLATE "C")', [], name);
    await server().query(
      "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pannier_state_key'::regclass",
      [],
      name,
    );
    await list(store);
    await eventually(async () => assert.match(log.warnings.join(), /was not finished; drop it/));
  });

  it("are asked for an index by several sidecars at once, and have one", async () => {
    const name = await database(ORDERS["of words"]);
    const log = listeningLog();
    const stores = await Promise.all(Array.from({ length: 4 }, () => open("v2", name, {}, log)));
    await Promise.all(stores.map((store) => list(store)));
    await eventually(async () => assert.equal(await hasIndex(name), true));
    await Promise.all(stores.map((store) => store.close()));
    assert.deepEqual(log.warnings, []);
  });

  it("refuse a position that is outside of the range or no text", async () => {
    const store = await open("v1", await database());
    for (const after of ["app||k4", "other", "", "app||k5\0", "app||k5\ud800"]) {
      await assert.rejects(list(store, after), { code: "refused" });
    }
  });

  it("refuse a beginning that no key can have, with the words of a save", async () => {
    for (const version of VERSIONS) {
      const store = await open(version, await database());
      for (const start of ["app||a\0", "app||a\ud800"]) {
        const range = { scope: "app||", start };
        const error = await store.set(write(start, "1"), call).catch((each: unknown) => each);
        assert.ok(error instanceof Error);
        const refusal = { code: "refused", message: error.message };
        for (const values of [true, false])
          await assert.rejects(async () => store.list?.({ range, after: null, limit: 1, values }, call), refusal);
        await assert.rejects(async () => store.count?.(range, call), refusal);
        await assert.rejects(async () => store.removeRange?.(range, 1, call), refusal);
      }
    }
  });

  it("end behind the last text that begins as they do", () => {
    const endOf = (start: string): string => bounds({ scope: "", start }, null)[1];
    assert.equal(endOf("a"), "b");
    assert.equal(endOf("a\u{10ffff}"), "b");
    assert.equal(endOf("a\ud7ff"), "a\ue000");
    assert.equal(endOf("\u{1f9fa}"), "\u{1f9fb}");
    assert.equal(endOf(""), endOf("\u{10ffff}"));
    assert.ok(Buffer.compare(Buffer.from(endOf("")), Buffer.from("\u{10ffff}".repeat(673))) > 0);
  });
});
