// What pgbouncer before the server changes: whose connection a statement runs on, and which errors come.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Log } from "#kit/log.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { makeCertificates } from "#test/servers/certificates.ts";
import { describeWithPgbouncer, type PgbouncerOptions, startPgbouncer } from "#test/servers/pgbouncer.ts";
import { call, eventually, listeningLog, onOneServer, openStore, textOf, transact, upsert, write } from "./fixture.ts";

type Fields = Readonly<Record<string, string>>;

describeWithPgbouncer("PostgreSQL behind pgbouncer", () => {
  const { server, database, keep } = onOneServer();

  /** A pgbouncer, and stores of v2 behind it. */
  async function pooler(
    mode: PgbouncerOptions["mode"],
    more: Pick<PgbouncerOptions, "poolSize" | "tls"> = {},
  ): Promise<(database: string, fields?: Fields, query?: string, log?: Log) => Promise<Store>> {
    const pgbouncer = await startPgbouncer({ mode, ...more, serverPort: server().port });
    keep(pgbouncer, () => pgbouncer.stop());
    return async (name, fields = {}, query = "", log = listeningLog()) => {
      const connectionString = `${server().url(name, pgbouncer.port)}${query}`;
      const store = await openStore({ version: "v2", fields: { connectionString, ...fields }, log });
      return keep(store, () => store.close());
    };
  }

  it("may prepare statements in session mode", async () => {
    const open = await pooler("session");
    const store = await open(await database());
    for (let turn = 0; turn < 3; turn++) await store.set(write("k", String(turn)), call);
    assert.equal(await textOf(store, "k"), "2");
  });

  for (const queryExecMode of ["cache_describe", "describe_exec", "exec", "simple_protocol"]) {
    it(`prepares nothing by ${queryExecMode}, so that transaction mode serves`, async () => {
      const open = await pooler("transaction", { poolSize: 2 });
      const store = await open(await database(), { queryExecMode, maxConns: "8" });
      const all = (run: (key: string) => Promise<void>): Promise<unknown> =>
        Promise.all(Array.from({ length: 16 }, (_, index) => run(`k${index}`)));
      for (let turn = 0; turn < 3; turn++) await all((key) => store.set(write(key, String(turn)), call));
      await all((key) => transact(store, [upsert(key, "3"), upsert("shared", "3")]));
      await all(async (key) => assert.equal(await textOf(store, key), "3"));
    });
  }

  it("never runs a statement that another store has prepared on the same connection", async () => {
    const open = await pooler("transaction", { poolSize: 2 });
    const name = await database();
    const stores: Readonly<Record<string, Store>> = {
      left: await open(name, { tablePrefix: "left_", maxConns: "4" }),
      right: await open(name, { tablePrefix: "right_", maxConns: "4" }),
    };
    const writes = Object.entries(stores).flatMap(([side, store]) =>
      Array.from({ length: 200 }, (_, index) =>
        // Many of them fail, for their statements get lost; those that do not must go where they belong.
        store.set(write(`${side}${index % 7}`, JSON.stringify(side)), call).catch((error: Error) => error),
      ),
    );
    const errors = (await Promise.all(writes)).filter((each) => each instanceof Error);
    assert.notEqual(errors.length, 0);
    for (const { message } of errors) assert.match(message, /prepared statement.*set queryExecMode to exec/);
    for (const [side, other] of [
      ["left", "right"],
      ["right", "left"],
    ]) {
      const text = `SELECT count(*)::int AS count FROM ${side}_state WHERE key LIKE '${other}%'`;
      assert.deepEqual(await server().query(text, [], name), [{ count: 0 }]);
    }
  });

  it("is refused in statement mode when the Component opens, with what to do", async () => {
    const open = await pooler("statement");
    await assert.rejects(open(await database(), { queryExecMode: "exec" }), {
      code: "unavailable",
      message: /takes no transactions.*pool_mode = statement.*Set pool_mode to transaction or session/,
    });
  });

  it("says what may be wrong with a session setting that pgbouncer does not take", async () => {
    const open = await pooler("transaction");
    await assert.rejects(open(await database(), { queryExecMode: "exec" }, "?search_path=x"), {
      code: "unavailable",
      message: /pgbouncer, its log says why.*session setting of connectionString \(SQLSTATE 08P01\)/,
    });
  });

  async function assertStopped(open: Awaited<ReturnType<typeof pooler>>, query: string): Promise<void> {
    const name = await database();
    const store = await open(name, { queryExecMode: "exec", timeout: "4s" }, query);
    const locking = server().query("BEGIN; LOCK TABLE state IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(60)", [], name);
    await eventually(async () => {
      const text = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'state'::regclass";
      assert.equal((await server().query(text, [], name)).length, 1);
    });
    const stopped = { code: "timeout", message: /cancelled the statement; nothing was written \(SQLSTATE 57014\)/ };
    await assert.rejects(store.set(write("k", "1"), call), stopped);
    const stop =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()";
    await Promise.all([assert.rejects(locking), server().query(stop)]);
    await store.set(write("k", "2"), call);
    assert.equal(await textOf(store, "k"), "2");
  }

  it("passes on the request to stop a statement that waits", async () => {
    await assertStopped(await pooler("transaction"), "?sslmode=disable");
  });

  it("passes it on where clients have to speak TLS", async () => {
    const certificates = await makeCertificates();
    keep(certificates, () => certificates.remove());
    const [certificate, key] = await Promise.all(
      [certificates.serverCertificateFile, certificates.serverKeyFile].map((path) => readFile(path, "utf8")),
    );
    assert.ok(certificate !== undefined && key !== undefined);
    const open = await pooler("transaction", { tls: { certificate, key } });
    await assert.rejects(open("postgres", { queryExecMode: "exec" }, "?sslmode=disable"), { code: "unavailable" });
    await assertStopped(open, `?sslmode=verify-full&sslrootcert=${certificates.authorityFile}`);
  });

  it("lets the index for walks be made, and keeps no lock of it", async () => {
    const open = await pooler("transaction");
    const name = await database("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
    const store = await open(name, { queryExecMode: "exec" });
    await store.list?.({ range: { scope: "", start: "" }, after: null, limit: 10, values: false }, call);
    await eventually(async () => {
      const text =
        "SELECT bool_and(indisvalid) AS valid FROM pg_index WHERE indexrelid = 'pannier_state_key'::regclass";
      assert.deepEqual(await server().query(text, [], name), [{ valid: true }]);
      assert.deepEqual(await server().query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), []);
    });
  });

  it("gives up the index for walks where pgbouncer has one connection only, and serves calls on", async () => {
    const open = await pooler("transaction", { poolSize: 1 });
    const name = await database("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
    const log = listeningLog();
    const store = await open(name, { queryExecMode: "exec", timeout: "10s" }, "", log);
    await store.list?.({ range: { scope: "", start: "" }, after: null, limit: 10, values: false }, call);
    await eventually(async () => {
      const text = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'";
      assert.equal((await server().query(text, [], name)).length, 1);
    });
    await store.set(write("k", "1"), call);
    assert.equal(await textOf(store, "k"), "1");
    assert.match(log.warnings.join("\n"), /cannot be listed.*no second connection/);
    const walk = { range: { scope: "", start: "" }, after: null, limit: 10, values: false };
    await assert.rejects(async () => store.list?.(walk, call), { code: "unavailable", message: /CREATE INDEX/ });
  });

  it("makes a lost server an error in time, and none of it again when the server is back", async () => {
    const pgbouncer = await startPgbouncer({ mode: "transaction", serverPort: server().port });
    keep(pgbouncer, () => pgbouncer.stop());
    const fields = { connectionString: server().url("postgres", pgbouncer.port), queryExecMode: "exec", timeout: "4s" };
    const log = listeningLog();
    const store = await openStore({ version: "v2", fields, log });
    keep(store, () => store.close());
    await store.set(write("k", "1"), call);
    await server().kill9();
    const codes = ["unavailable", "timeout", "unknown-outcome"];
    for (let turn = 0; turn < 3; turn++) {
      const error = await store.set(write("k", "2"), call).catch((each: { code: string }) => each);
      assert.ok(error !== undefined && codes.includes(error.code), JSON.stringify(error));
    }
    await server().restart();
    await eventually(() => store.set(write("k", "3"), call));
    assert.equal(await textOf(store, "k"), "3");
  });
});
