// Walks over keys: by an index, in steps that are bounded, in databases that order texts by bytes and by words.
import assert from "node:assert/strict";
import { Client } from "pg";
import { type Clock, systemClock } from "#kit/clock.ts";
import { v1Layout, v2Layout } from "#sidecar/stores/postgresql/layout.ts";
import type { Statement } from "#sidecar/stores/postgresql/session.ts";
import { tablesOf } from "#sidecar/stores/postgresql/statements.ts";
import { BUILD_LOCK, bounds, walkStatements } from "#sidecar/stores/postgresql/walk.ts";
import { BUILD_MS_MAX } from "#sidecar/stores/postgresql/walk-index.ts";
import type { ListPage, Store } from "#sidecar/stores/store.ts";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { call, eventually, listeningLog, onOneServer, openStore, VERSIONS, write } from "./fixture.ts";

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
  const { server, keep, database, open } = onOneServer();

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

  /** A user with the rights that a store needs once its tables are there, and no more. */
  async function withWalker(name: string): Promise<void> {
    await (await open("v2", name)).close();
    await server().query(
      `DO $$ BEGIN CREATE USER walker; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
       GRANT SELECT, INSERT, UPDATE, DELETE ON state, dapr_metadata TO walker`,
      [],
      name,
    );
  }

  /** A client of the database for a transaction that stays open. */
  async function transaction(name: string, text: string): Promise<Client> {
    const client = new Client(server().url(name));
    await client.connect();
    keep(client, () => client.end());
    await client.query(`BEGIN; ${text}`);
    return client;
  }

  const CREATE = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS "pannier_state_key" ON "state" (key COLLATE "C")';
  const statementIn = (warning = ""): string => String(JSON.parse(warning.slice(warning.indexOf("{"))).how);

  it("are refused where the user may not make their index, until the owner has run the statement", async () => {
    const name = await database(ORDERS["of words"]);
    await withWalker(name);
    const log = listeningLog();
    const store = await open("v2", name, { user: "walker" }, log);
    await store.set(write("app||k5", "1"), call);
    assert.equal(store.features.list, false);
    assert.equal(store.list, undefined);
    assert.deepEqual(store.capabilities, ["ETAG", "TRANSACTIONAL", "TTL"]);
    assert.equal(log.warnings.length, 1);
    assert.equal(statementIn(log.warnings[0]), `as the table's owner run: ${CREATE}; then open the Component again`);
    await server().query(CREATE, [], name);
    const again = await open("v2", name, { user: "walker" }, log);
    assert.equal(again.features.list, true);
    assert.deepEqual((await list(again)).rows, [{ key: "app||k5", found: null }]);
    assert.equal(log.warnings.length, 1);
  });

  it("are refused on the first version with its queries, and nothing else is", async () => {
    const name = await database(ORDERS["of words"]);
    await withWalker(name);
    const first = { tableName: "first", user: "walker" };
    await (await open("v1", name, { tableName: "first" })).close();
    await server().query("GRANT SELECT, INSERT, UPDATE, DELETE ON first TO walker", [], name);
    const store = await open("v1", name, first);
    assert.deepEqual(store.capabilities, ["ETAG", "TRANSACTIONAL", "TTL"]);
    await store.set(write("app||k5", "1"), call);
    await store.transact?.([{ kind: "upsert", write: write("app||k6", "2") }], call);
  });

  it("are refused unless the user both owns the table and may make things in its schema", async () => {
    const name = await database(ORDERS["of words"]);
    await withWalker(name);
    const listed = async (statement: string): Promise<boolean> => {
      await server().query(statement, [], name);
      return (await open("v2", name, { user: "walker" })).features.list;
    };
    assert.equal(await listed("GRANT CREATE ON SCHEMA public TO walker"), false);
    assert.equal(await listed("ALTER TABLE state OWNER TO walker"), true);
    assert.equal(await listed("REVOKE CREATE ON SCHEMA public FROM walker"), false);
  });

  it("are declared while somebody else builds their index", async () => {
    const name = await database(ORDERS["of words"]);
    await withWalker(name);
    // The build waits for the end of what writes to the table.
    const writer = await transaction(name, "INSERT INTO state (key, value, etag) VALUES ('w', '1', gen_random_uuid())");
    const building = server().query(CREATE, [], name);
    await eventually(async () =>
      assert.equal((await server().query("SELECT 1 FROM pg_stat_progress_create_index", [], name)).length, 1),
    );
    const log = listeningLog();
    const store = await open("v2", name, { user: "walker" }, log);
    assert.equal(store.features.list, true);
    await list(store);
    await writer.query("COMMIT");
    await building;
    assert.equal(await hasIndex(name), true);
    assert.deepEqual(log.warnings, []);
  });

  it("are declared while another sidecar is about to build their index", async () => {
    const name = await database(ORDERS["of words"]);
    await withWalker(name);
    await transaction(name, `SELECT pg_advisory_xact_lock(${BUILD_LOCK}, hashtext('"state"'))`);
    const store = await open("v2", name, { user: "walker" });
    assert.equal(store.features.list, true);
  });

  const UNFINISHED = `${CREATE}; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pannier_state_key'::regclass`;
  const leaveUnfinished = (name: string): Promise<unknown> =>
    server().query(UNFINISHED.replace("CONCURRENTLY ", ""), [], name);

  it("are refused beside an index that was not finished, with what to run", async () => {
    const name = await database(ORDERS["of words"]);
    await withWalker(name);
    await leaveUnfinished(name);
    const log = listeningLog();
    assert.equal((await open("v2", name, {}, log)).features.list, false);
    const statement = statementIn(log.warnings[0]);
    const [drop = "", create = ""] = statement.replace(/^.* run: /, "").split("; then ");
    assert.equal(drop, "DROP INDEX CONCURRENTLY pannier_state_key");
    assert.equal(create, CREATE);
    await server().query(drop, [], name);
    await server().query(create, [], name);
    assert.equal((await open("v2", name)).features.list, true);
  });

  it("are refused once their index could not be made, and go on when it is there", async () => {
    const name = await database(ORDERS["of words"]);
    const log = listeningLog();
    let aheadMs = 0;
    let looks = 0;
    const clock: Clock = {
      ...systemClock,
      monotonicMs: () => systemClock.monotonicMs() + aheadMs,
      // Each look begins with the time that a build may take.
      after: (delayMs, task) => {
        if (delayMs === BUILD_MS_MAX) looks++;
        return systemClock.after(delayMs, task);
      },
    };
    const store = await openStore({ version: "v2", fields: { connectionString: server().url(name) }, log, clock });
    keep(store, () => store.close());
    await leaveUnfinished(name);
    await list(store);
    const refused = { code: "unavailable", message: /cannot be listed: .*DROP INDEX CONCURRENTLY.*CREATE INDEX/ };
    await eventually(() => assert.rejects(list(store), refused));
    await assert.rejects(async () => store.count?.(RANGE, call), refused);
    await assert.rejects(async () => store.removeRange?.(RANGE, 10, call), refused);
    for (let look = 0; look < 3; look++) {
      const before = looks;
      await eventually(async () => {
        aheadMs += 60_000;
        await assert.rejects(list(store), refused);
        assert.ok(looks > before);
      });
    }
    await server().query("DROP INDEX pannier_state_key", [], name);
    await eventually(() => {
      aheadMs += 60_000;
      return list(store);
    });
    assert.equal(await hasIndex(name), true);
    assert.equal(log.warnings.length, 1);
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
