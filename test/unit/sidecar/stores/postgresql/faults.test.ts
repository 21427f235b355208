// What happens to requests when the server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import { Client } from "pg";
import type { Log } from "#kit/log.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { freePort } from "#test/servers/free-port.ts";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import type { Fields } from "#test/stores/opening.ts";
import { itPools } from "#test/stores/pool-trouble.ts";
import { itSaysWhereNobodyListens } from "#test/stores/trouble.ts";
import { MovableClock } from "#test/unit/sidecar/stores/redis/movable-clock.ts";
import {
  call,
  eventually,
  onOneServer,
  openStore,
  read,
  textOf,
  transact,
  upsert,
  VERSIONS,
  write,
} from "./fixture.ts";

describeWithPostgres("a PostgreSQL store in trouble", () => {
  const { server, database, open, keep } = onOneServer({ settings: { max_connections: "40" } });

  async function throughProxy(
    fields: Fields = {},
    log?: Log,
  ): Promise<{ proxy: TcpProxy; store: Store; name: string }> {
    const name = await database();
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    const store = await open("v2", name, { connectionString: server().url(name, proxy.port), ...fields }, log);
    return { proxy, store, name };
  }

  /** A client of its own in the database, for locks and looks. */
  async function clientIn(name: string): Promise<Client> {
    const client = new Client({ connectionString: server().url(name) });
    client.on("error", () => undefined);
    await client.connect();
    return keep(client, () => client.end());
  }

  /** Connections of the store as the server sees them. */
  async function sessionsIn(name: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const text =
      "SELECT pid, state, query FROM pg_stat_activity WHERE datname = $1 AND application_name = 'pannier-test'";
    return server().query(text, [name]);
  }

  itSaysWhereNobodyListens(
    (port) => openStore({ version: "v1", fields: { connectionString: server().url("postgres", port) } }),
    (port) => new RegExp(`cannot connect to postgresql at 127.0.0.1:${port}: .*ECONNREFUSED`),
  );

  it("ends a connection after the time that pool_max_conn_lifetime says", async () => {
    const name = await database();
    const clock = new MovableClock();
    const connectionString = `${server().url(name)}?pool_max_conn_lifetime=10m`;
    const store = await openStore({ version: "v2", fields: { connectionString }, clock });
    keep(store, () => store.close());
    const pids = async (): Promise<unknown> => (await sessionsIn(name)).map(({ pid }) => pid);
    const before = await pids();
    clock.move(9 * 60_000);
    await store.ping(call);
    assert.deepEqual(await pids(), before);
    clock.move(2 * 60_000);
    await store.ping(call);
    await eventually(async () => assert.deepEqual(await pids(), []));
  });

  itPools({
    product: "postgresql",
    timeout: ["timeout", "4s"],
    patient: { timeout: "50s" },
    place: database,
    open: (name, fields, log) => open("v1", name, fields, log),
    throughProxy,
    sessions: async (name) => {
      const all = await sessionsIn(name);
      return { open: all.length, busy: all.filter(({ state }) => state === "active").length };
    },
    endSessions: async (name) => {
      await server().query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [name]);
    },
    lockTable: async (name) => {
      const holder = await clientIn(name);
      await holder.query("BEGIN");
      await holder.query("LOCK TABLE state IN ACCESS EXCLUSIVE MODE");
      return () => holder.query("ROLLBACK");
    },
  });

  it("does not open on a server that hangs, within connect_timeout or its signal", async () => {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    proxy.mode = "black-hole";
    const connectionString = `${server().url("postgres", proxy.port)}?connect_timeout=1&sslmode=disable`;
    await assert.rejects(openStore({ version: "v1", fields: { connectionString } }), {
      code: "unavailable",
      message: /no answer within 1000 ms/,
    });
    const signal = AbortSignal.timeout(100);
    await assert.rejects(openStore({ version: "v1", fields: { connectionString }, signal }), { code: "closed" });
  });

  it("names what is wrong with the sign-in, without the password", async () => {
    const wrong: [string, RegExp][] = [
      [`${server().url("nowhere")}`, /no database of that name.*3D000/],
      [server().url().replace("postgres@", "nobody:s3cr3t@"), /check user and password.*28000/],
      [
        `${server().url()}?sslmode=require`,
        /cannot connect to .*: it speaks no TLS; check sslmode in connectionString$/,
      ],
      [`${server().url()}?no_such_setting=1`, /does not know a session setting.*42704/],
      [`${server().url()}?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem`, /sslrootcert: \/nowhere\/ca.pem: ENOENT/],
    ];
    for (const [connectionString, message] of wrong) {
      const error = await openStore({ version: "v1", fields: { connectionString } }).catch((each: unknown) => each);
      assert.ok(error instanceof Error);
      assert.match(error.message, message);
      assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}${String(error.cause)}`, /s3cr3t/);
    }
  });

  it("says that the disk is full, still reads, and leaves no half of a transaction", async () => {
    for (const version of VERSIONS) {
      const name = await database();
      const store = await open(version, name);
      await store.set(write("k", "1"), call);
      // As a server says it whose disk is.
      await server().query(
        `CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON state FOR EACH ROW WHEN (new.key <> 'small') EXECUTE FUNCTION fill()`,
        [],
        name,
      );
      const message = /has no space left on its disk; free some, reads still work \(SQLSTATE 53100\)$/;
      const full = { code: "unavailable", message };
      await assert.rejects(store.set(write("k", "2"), call), full);
      await assert.rejects(transact(store, [upsert("small", "1"), upsert("k", "2")]), full);
      assert.deepEqual([await textOf(store, "k"), await textOf(store, "small")], ["1", null]);
      await server().query("DROP TRIGGER fill ON state", [], name);
      await store.set(write("k", "3"), call);
    }
  });

  it("has the server stop a write that waits for a lock, and says that nothing was written", async () => {
    for (const version of VERSIONS) {
      const name = await database();
      const store = await open(version, name, { timeout: "4s" });
      await store.set(write("k", "1"), call);
      const client = await clientIn(name);
      await client.query("BEGIN");
      await client.query("SELECT * FROM state WHERE key = 'k' FOR UPDATE");
      const stopped = { code: "timeout", message: /cancelled the statement; nothing was written.*57014/ };
      await assert.rejects(store.set(write("k", "2"), call), stopped);
      await assert.rejects(transact(store, [upsert("a", "2"), upsert("k", "2")]), stopped);
      await eventually(async () =>
        assert.equal((await sessionsIn(name)).filter(({ state }) => state === "active").length, 0),
      );
      await client.query("ROLLBACK");
      assert.deepEqual([await textOf(store, "k"), await textOf(store, "a")], ["1", null]);
      await store.set(write("k", "3"), call);
    }
  });

  it("stops on the server what a caller has left, and frees the connection", async () => {
    const name = await database();
    const store = await open("v2", name, { maxConns: "2" });
    await store.set(write("k", "1"), call);
    const client = await clientIn(name);
    await client.query("BEGIN");
    await client.query("LOCK TABLE state IN ACCESS EXCLUSIVE MODE");
    const leaving = new AbortController();
    const left = { signal: leaving.signal };
    const calls = [store.get("k", read, left), store.set(write("k", "2"), left), store.ping(left)];
    const outcomes = Promise.allSettled(calls);
    await eventually(async () =>
      assert.equal((await sessionsIn(name)).filter(({ state }) => state === "active").length, 2),
    );
    leaving.abort();
    for (const outcome of await outcomes) {
      assert.equal(outcome.status === "rejected" && outcome.reason.code, "timeout");
    }
    await eventually(async () =>
      assert.equal((await sessionsIn(name)).filter(({ state }) => state === "active").length, 0),
    );
    await client.query("ROLLBACK");
    assert.equal(await textOf(store, "k"), "1");
  });

  it("waits for its own connections when the server has no more", async () => {
    const name = await database();
    const user = `few_${name}`;
    await server().query(`CREATE USER ${user} CONNECTION LIMIT 1; GRANT ALL ON SCHEMA public TO ${user}`, [], name);
    const store = await open("v1", name, { user, maxConns: "5" });
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.set(write(`k${index}`, "1"), call)));
    await assert.rejects(open("v1", name, { user }), { code: "unavailable", message: /no free connection.*53300/ });
  });

  it("ends connections that were idle for too long, and makes new ones", async () => {
    const name = await database();
    const store = await open("v1", name, { connectionMaxIdleTime: "200ms" });
    await Promise.all(Array.from({ length: 4 }, () => store.ping(call)));
    assert.ok((await sessionsIn(name)).length >= 1);
    await eventually(async () => assert.equal((await sessionsIn(name)).length, 0));
    await store.ping(call);
  });

  it("passes over hosts that are down, and refuses one that takes no writes where the primary is wanted", async () => {
    const name = await database();
    const nobody = await freePort();
    const hosts = `postgres://postgres@127.0.0.1:${nobody},127.0.0.1:${server().port}/${name}`;
    const store = await open("v1", name, { connectionString: hosts });
    await store.set(write("k", "1"), call);
    await server().query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    const connectionString = `${hosts}?target_session_attrs=read-write`;
    await assert.rejects(open("v1", name, { connectionString }), { code: "unavailable", message: /takes no writes/ });
  });

  it("prepares its statements, and gets over a table that changes under them", async () => {
    const name = await database();
    const store = await open("v2", name, { maxConns: "2" });
    for (let turn = 0; turn < 3; turn++) await store.set(write("k", "1"), call);
    await textOf(store, "k");
    await server().query("ALTER TABLE state ALTER COLUMN expires_at TYPE timestamptz(3)", [], name);
    assert.equal(await textOf(store, "k"), "1");
    await store.set(write("k", "2"), call);
    const unprepared = await open("v2", name, { queryExecMode: "exec" });
    assert.equal(await textOf(unprepared, "k"), "2");
  });

  it("says that a table is gone", async () => {
    const name = await database();
    const store = await open("v2", name);
    await server().query("DROP TABLE state", [], name);
    await assert.rejects(store.get("k", read, call), { code: "unavailable", message: /no such table.*42P01/ });
  });
});
