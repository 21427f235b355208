// What requests get when the server's part in a cluster matters: a standby that does not answer, a primary that is one no
// more.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithPostgres, startPostgres } from "#test/servers/postgresql.ts";
import { call, eventually, onOneServer, removal, textOf, transact, upsert, VERSIONS, write } from "./fixture.ts";

const WRITES: Readonly<Record<string, (store: Store) => Promise<unknown>>> = {
  "a write": (store) => store.set(write("k", "2"), call),
  "a transaction": (store) => transact(store, [upsert("k", "2"), upsert("l", "2")]),
  "a delete": (store) => store.remove(removal("k"), call),
  "a delete by prefix": async (store) => store.removeRange?.({ scope: "", start: "k" }, 10, call),
};

describeWithPostgres("a PostgreSQL server whose standby does not answer", () => {
  // Made with a store that does not wait for the standby; what is tested does.
  const { server, database, open } = onOneServer({
    settings: { synchronous_standby_names: "nobody", synchronous_commit: "local" },
  });

  async function waitingStore(
    version: (typeof VERSIONS)[number],
    timeout: string,
    isSilent = false,
  ): Promise<[Store, string]> {
    const name = await database();
    if (isSilent) await server().query(`ALTER DATABASE ${name} SET client_min_messages = error`);
    await (await open(version, name)).set(write("k", "1"), call);
    const connectionString = `${server().url(name)}?synchronous_commit=on`;
    return [await open(version, name, { connectionString, timeout }), name];
  }

  const unsure = {
    name: "StoreError",
    code: "unknown-outcome",
    message: /committed on postgresql at 127\.0\.0\.1:\d+.*may not be replicated/,
  };

  for (const version of VERSIONS) {
    for (const [what, run] of Object.entries(WRITES)) {
      it(`leaves open what becomes of ${what} in ${version} that is not waited for any longer`, async () => {
        const [store, name] = await waitingStore(version, "1s", true);
        await assert.rejects(run(store), unsure);
        const [row] = await server().query("SELECT count(*)::int AS count FROM state WHERE key = 'k'", [], name);
        assert.equal(row?.count, what.startsWith("a delete") ? 0 : 1);
        await assert.doesNotReject(textOf(store, "k"));
      });
    }
  }

  it("leaves open what somebody else stopped to wait for", async () => {
    for (const [what, run] of Object.entries(WRITES)) {
      const [store, name] = await waitingStore("v2", "20s");
      const outcome = assert.rejects(run(store), unsure, what);
      await eventually(async () => {
        const text =
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'SyncRep'";
        assert.equal((await server().query(text, [name])).length, 1);
      });
      await outcome;
    }
  });

  it("hears the warning although the connection string would silence it", async () => {
    const name = await database();
    await (await open("v1", name)).close();
    const connectionString = `${server().url(name)}?synchronous_commit=on&client_min_messages=error`;
    const store = await open("v1", name, { connectionString });
    const outcome = assert.rejects(store.set(write("k", "1"), call), unsure);
    await eventually(async () => {
      const text = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'SyncRep'";
      assert.equal((await server().query(text, [name])).length, 1);
    });
    await outcome;
  });

  it("makes no doubt of a warning of the table's own, nor of a write that changes nothing", async () => {
    const name = await database();
    const store = await open("v2", name);
    const trigger = `CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'look'; RETURN new; END $$;
      CREATE TRIGGER warn BEFORE INSERT ON state FOR EACH ROW EXECUTE FUNCTION warn()`;
    await server().query(trigger, [], name);
    await store.set(write("k", "1"), call);
    const [waiting] = await waitingStore("v2", "1s");
    await assert.rejects(waiting.set(write("k", "2", { firstWrite: true }), call), { code: "etag-mismatch" });
  });
});

describeWithPostgres("a PostgreSQL server that takes no writes any more", () => {
  const { server, database, open, keep } = onOneServer();

  it("is left for another host of the cluster, without an error", async () => {
    const other = await startPostgres();
    keep(other, () => other.stop());
    const hosts = `postgres://postgres@127.0.0.1:${server().port},127.0.0.1:${other.port}/postgres`;
    // Both have the tables.
    for (const version of VERSIONS) {
      const [here, there] = [server().url("postgres"), other.url("postgres")];
      const more = version === "v1" ? { tableName: "v1" } : { tablePrefix: "v2_" };
      for (const connectionString of [here, there]) await open(version, "postgres", { connectionString, ...more });
      const fields = { connectionString: `${hosts}?target_session_attrs=read-write`, maxConns: "6", ...more };
      const store = await open(version, "postgres", fields);
      const all = (): Promise<unknown> =>
        Promise.all(
          Array.from({ length: 6 }, (_, index) =>
            index % 2 === 0 ? store.set(write("k", "1"), call) : transact(store, [upsert("k", "1"), upsert("l", "1")]),
          ),
        );
      await all();
      await server().query("ALTER SYSTEM SET default_transaction_read_only = on");
      await server().query("SELECT pg_reload_conf()");
      try {
        await eventually(async () => {
          await all();
          const table = version === "v1" ? "v1" : "v2_state";
          assert.equal((await other.query(`SELECT 1 FROM ${table} WHERE key = 'k'`)).length, 1);
        });
        await all();
      } finally {
        await server().query("ALTER SYSTEM RESET default_transaction_read_only");
        await server().query("SELECT pg_reload_conf()");
        await eventually(async () => {
          const [row] = await server().query("SHOW default_transaction_read_only");
          assert.equal(row?.default_transaction_read_only, "off");
        });
      }
    }
  });

  it("is written to at once when its database takes writes again", async () => {
    const name = await database();
    const store = await open("v2", name, { maxConns: "6" });
    const all = (): Promise<unknown> => Promise.all(Array.from({ length: 6 }, () => textOf(store, "k")));
    await server().query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    await server().query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [name]);
    await eventually(all);
    await assert.rejects(store.set(write("k", "1"), call), { code: "unavailable", message: /takes no writes.*25006/ });
    await all();
    await server().query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
    for (let turn = 0; turn < 6; turn++) await store.set(write("k", "1"), call);
    assert.equal(await textOf(store, "k"), "1");
  });
});
