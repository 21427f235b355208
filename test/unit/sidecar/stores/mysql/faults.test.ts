// What happens to requests when the server or the way to it fails, and that the store finds back by itself.
import assert from "node:assert/strict";
import type { Log } from "#kit/log.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithMysql, runOn } from "#test/servers/mysql.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import type { Fields } from "#test/stores/opening.ts";
import { itPools } from "#test/stores/pool-trouble.ts";
import { itSaysWhereNobodyListens } from "#test/stores/trouble.ts";
import { call, eventually, onOneServer, openStore, read, removal, textOf, transact, upsert, write } from "./fixture.ts";

describeWithMysql("a MySQL store in trouble", () => {
  const { server, schema, open, query, client, keep } = onOneServer({ args: ["--max-connections=40"] });

  async function proxied(): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(server());
    return keep(proxy, () => proxy.stop());
  }

  async function throughProxy(
    fields: Fields = {},
    log?: Log,
  ): Promise<{ proxy: TcpProxy; store: Store; name: string }> {
    const name = schema();
    const proxy = await proxied();
    const store = await open(name, { connectionString: server().dsn("timeout=500ms", proxy.port), ...fields }, log);
    return { proxy, store, name };
  }

  /** What the sessions of a schema do, as the server sees it. */
  const sessionsIn = (name: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
    query(
      "mysql",
      "SELECT ID AS id, COMMAND AS command, TIME AS time FROM information_schema.PROCESSLIST WHERE DB = ?",
      [name],
    );

  /** Holds a row of the schema until the test ends it. */
  async function holdRow(name: string): Promise<ReturnType<typeof client>> {
    const holder = client(name);
    await runOn(holder, "START TRANSACTION");
    await runOn(holder, "SELECT * FROM state WHERE id = 'k' FOR UPDATE");
    return holder;
  }

  itSaysWhereNobodyListens(
    (port) => openStore({ fields: { connectionString: server().dsn("", port) } }),
    (port) => new RegExp(`cannot connect to mysql at 127.0.0.1:${port}: .*ECONNREFUSED`),
  );

  itPools({
    product: "mysql",
    timeout: ["timeoutInSeconds", "4"],
    patient: {},
    place: schema,
    open,
    throughProxy,
    sessions: async (name) => {
      const all = await sessionsIn(name);
      // Not those that are still connecting: nothing was sent over them.
      return { open: all.length, busy: all.filter(({ command }) => /Query|Execute/.test(String(command))).length };
    },
    endSessions: async (name) => {
      for (const { id } of await sessionsIn(name)) await query("mysql", `KILL ${id}`);
    },
    lockTable: async (name) => {
      const holder = client("mysql");
      await runOn(holder, `LOCK TABLES ${name}.state WRITE`);
      return () => runOn(holder, "UNLOCK TABLES");
    },
  });

  it("does not open on a server that hangs, within the timeout of its connection string or its signal", async () => {
    const proxy = await proxied();
    proxy.mode = "black-hole";
    const connectionString = server().dsn("timeout=1s", proxy.port);
    await assert.rejects(openStore({ fields: { connectionString } }), {
      code: "unavailable",
      message: /no answer within 1000 ms/,
    });
    await assert.rejects(openStore({ fields: { connectionString }, signal: AbortSignal.timeout(100) }), {
      code: "closed",
    });
  });

  it("names what is wrong with the sign-in, without the password", async () => {
    await query("mysql", "CREATE USER few@'%' IDENTIFIED BY 's3cr3t'");
    const at = `tcp(127.0.0.1:${server().port})/`;
    const wrong: [Record<string, string>, RegExp][] = [
      [{ connectionString: `few:s3cr3t-wrong@${at}` }, /refused the user or the password.*1045/],
      [{ connectionString: `nobody:s3cr3t@${at}` }, /refused the user or the password.*1045/],
      [{ connectionString: `few:s3cr3t@${at}` }, /does not give this user the rights.*1044/],
      [{ connectionString: `${server().dsn("tls=true")}` }, /does not support secure connection/],
      [{ connectionString: `${server().dsn("no_such_variable=1")}` }, /does not know a system variable.*1193/],
      [{ connectionString: server().dsn(), pemPath: "/nowhere/ca.pem" }, /pemPath: \/nowhere\/ca.pem: ENOENT/],
      [{ connectionString: server().dsn(), pemPath: import.meta.filename }, /^pemPath: \/.*: holds no certificate$/],
    ];
    for (const [fields, message] of wrong) {
      const error = await openStore({ fields }).catch((each: unknown) => each);
      assert.ok(error instanceof Error, String(message));
      assert.match(error.message, message);
      assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}${String(error.cause)}`, /s3cr3t/);
    }
  });

  it("opens for a user who may use the tables, and not make them, and says so when a right is missing", async () => {
    const name = schema();
    await open(name);
    await query("mysql", "CREATE USER plain@'%' IDENTIFIED BY 'p/a:s@s'");
    await query("mysql", `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name}.* TO plain@'%'`);
    const connectionString = `plain:p/a:s@s@tcp(127.0.0.1:${server().port})/`;
    const store = await open(name, { connectionString });
    await store.set(write("k", "1"), call);
    await query("mysql", `REVOKE INSERT ON ${name}.* FROM plain@'%'`);
    // The server asks for a schema's rights when a connection comes to it.
    const other = await open(name, { connectionString });
    const refused = { code: "unavailable", message: /does not give this user the rights.*1142|1044/ };
    await assert.rejects(other.set(write("k", "2"), call), refused);
    assert.equal(await textOf(store, "k"), "1");
  });

  it("is told by the server that a write which waits for a lock wrote nothing", async () => {
    const name = schema();
    const store = await open(name, { timeoutInSeconds: "3" });
    await store.set(write("k", "1"), call);
    const holder = await holdRow(name);
    const stopped = { code: "timeout", message: /nothing was written.*\((error 1205|error 1969)\)/ };
    await assert.rejects(store.set(write("k", "2"), call), stopped);
    await assert.rejects(transact(store, [upsert("a", "2"), upsert("k", "2")]), stopped);
    await runOn(holder, "ROLLBACK");
    assert.deepEqual([await textOf(store, "k"), await textOf(store, "a")], ["1", null]);
    await store.set(write("k", "3"), call);
  });

  it("tells of a commit that nobody saw the end of, and of a single write that was stopped before it", async () => {
    const { proxy, store, name } = await throughProxy({ timeoutInSeconds: "4" });
    await store.set(write("k", "1"), call);
    await transact(store, [upsert("k", "1"), upsert("l", "1")]);
    const backup = client(name);
    await runOn(backup, "BACKUP STAGE START");
    // From here on every commit waits.
    await runOn(backup, "BACKUP STAGE BLOCK_COMMIT");
    const single = assert.rejects(store.set(write("single", "1"), call), {
      code: "timeout",
      message: /nothing was written/,
    });
    await assert.rejects(transact(store, [upsert("k", "2"), upsert("l", "2")]), {
      code: "unknown-outcome",
      message: /stopped the commit; the write may have happened/,
    });
    await single;
    const cut = assert.rejects(transact(store, [upsert("k", "3"), upsert("l", "3")]), {
      code: "unknown-outcome",
      message: /lost the connection to mysql.*the write may have happened/,
    });
    const committing = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = ? AND INFO = 'COMMIT'";
    await eventually(async () => assert.equal((await query("mysql", committing, [name])).length, 1));
    proxy.cut();
    await cut;
    await runOn(backup, "BACKUP STAGE END");
    await eventually(() => store.ping(call));
    const values = [await textOf(store, "k"), await textOf(store, "l")];
    assert.ok(values[0] === values[1] && ["1", "2", "3"].includes(values[0] ?? ""), String(values));
    assert.equal(await textOf(store, "single"), null);
  });

  it("cuts what a caller has left, and frees the connection", async () => {
    const name = schema();
    const store = await open(name, { maxConns: "2" });
    await store.set(write("k", "1"), call);
    const holder = client(name);
    await runOn(holder, "LOCK TABLES state WRITE");
    const leaving = new AbortController();
    const left = { signal: leaving.signal };
    const calls = [store.get("k", read, left), store.set(write("k", "2"), left), store.ping(left)];
    const outcomes = Promise.allSettled(calls);
    await eventually(async () =>
      assert.equal((await sessionsIn(name)).filter(({ command }) => command !== "Sleep").length, 2),
    );
    leaving.abort();
    const codes = (await outcomes).map((outcome) => outcome.status === "rejected" && outcome.reason.code);
    assert.deepEqual(codes, ["timeout", "unknown-outcome", "timeout"]);
    await runOn(holder, "UNLOCK TABLES");
    await eventually(() => store.set(write("k", "3"), call));
    assert.equal(await textOf(store, "k"), "3");
  });

  it("waits for its own connections when the server has no more", async () => {
    const name = schema();
    await open(name);
    await query("mysql", `CREATE USER one@'%' WITH MAX_USER_CONNECTIONS 1`);
    await query("mysql", `GRANT ALL ON ${name}.* TO one@'%'`);
    const connectionString = `one@tcp(127.0.0.1:${server().port})/`;
    const store = await open(name, { connectionString, maxConns: "5" });
    await Promise.all(Array.from({ length: 50 }, (_, index) => store.set(write(`k${index}`, "1"), call)));
    await assert.rejects(open(name, { connectionString }), { code: "unavailable", message: /error 1226|error 1203/ });
  });

  it("serves reads of a server that takes no writes, opens on it, and writes when it does again", async () => {
    const name = schema();
    await query("mysql", "CREATE USER app@'%'");
    await query("mysql", "GRANT ALL ON *.* TO app@'%'");
    await query("mysql", "REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM app@'%'");
    const connectionString = `app@tcp(127.0.0.1:${server().port})/`;
    const store = await open(name, { connectionString });
    await store.set(write("k", "1"), call);
    const ids = async (): Promise<readonly unknown[]> => (await sessionsIn(name)).map(({ id }) => id);
    const before = await ids();
    await query("mysql", "SET GLOBAL read_only = ON");
    try {
      const readOnly = { code: "unavailable", message: /takes no writes: it is a replica or read-only.*1290/ };
      await assert.rejects(store.set(write("k", "2"), call), readOnly);
      // Under the same name there may be another server by now.
      assert.equal(
        (await ids()).some((id) => before.includes(id)),
        false,
      );
      await assert.rejects(transact(store, [upsert("k", "2"), upsert("l", "2")]), readOnly);
      await assert.rejects(store.remove(removal("k"), call), readOnly);
      assert.equal(await textOf(store, "k"), "1");
      assert.equal(await textOf(await open(name, { connectionString }), "k"), "1");
    } finally {
      await query("mysql", "SET GLOBAL read_only = OFF");
    }
    await store.set(write("k", "3"), call);
    assert.deepEqual([await textOf(store, "k"), await textOf(store, "l")], ["3", null]);
  });

  it("gets over a table that changes under its statements, and says that one is gone", async () => {
    const name = schema();
    const store = await open(name, { maxConns: "2" });
    for (let turn = 0; turn < 3; turn++) await store.set(write("k", "1"), call);
    await query(name, "ALTER TABLE state ADD COLUMN note TEXT NULL");
    assert.equal(await textOf(store, "k"), "1");
    await store.set(write("k", "2"), call);
    await query(name, "DROP TABLE state");
    await assert.rejects(store.get("k", read, call), { code: "unavailable", message: /no such table.*1146/ });
  });

  it("refuses a value that is larger than the server takes, and goes on", async () => {
    const store = await open(schema());
    const largest = store.limits.valueBytesMax ?? 0;
    const raw = Buffer.alloc(largest, 0xff);
    await store.set(write("k", "", { bytes: raw, isJson: false }), call);
    assert.deepEqual((await store.get("k", read, call))?.bytes, raw);
    const more = write("k", "", { bytes: Buffer.alloc(largest + 1), isJson: false });
    await assert.rejects(store.set(more, call), { code: "refused", message: /max_allowed_packet/ });
    await query("mysql", "SET GLOBAL max_allowed_packet = 1048576");
    try {
      const other = await openStore({ fields: { connectionString: server().dsn(), schemaName: schema() } });
      keep(other, () => other.close());
      assert.ok((other.limits.valueBytesMax ?? 0) < 1_048_576);
    } finally {
      await query("mysql", "SET GLOBAL max_allowed_packet = DEFAULT");
    }
    assert.deepEqual((await store.get("k", read, call))?.bytes.length, largest);
  });
});

/** Twenty mebibytes that do not grow, the server's own tables in them. */
const SMALL = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M;ibdata2:20M"];

describeWithMysql("a MySQL store whose server has no space left", () => {
  const { schema, open } = onOneServer({ args: SMALL });

  it("says so for writes and deletes, still reads, and leaves no half of a transaction", async () => {
    const store = await open(schema());
    await store.set(write("kept", "1"), call);
    const message = /^mysql at .* has no space left on its disk; free some, reads still work \(error 1114\)$/;
    const full = { code: "unavailable", message };
    const large = `"${"x".repeat(1024 * 1024)}"`;
    let written = 0;
    const fill = async (): Promise<never> => {
      // Many times what there is room for.
      for (; written < 200; written++) await store.set(write(`fill-${written}`, large), call);
      throw new Error("it is not full");
    };
    await assert.rejects(fill, full);
    await assert.rejects(transact(store, [upsert("small", "1"), upsert("large", large)]), full);
    assert.deepEqual([await textOf(store, "kept"), await textOf(store, "small")], ["1", null]);
    assert.equal(await textOf(store, "fill-0"), large);
    await assert.rejects(store.set(write("other", large), call), full);
    const fillSmall = async (): Promise<never> => {
      for (let index = 0; index < 50_000; index++)
        await store.set(write(`small-${index}`, `"${"x".repeat(4000)}"`), call);
      throw new Error("it is not full");
    };
    await assert.rejects(fillSmall, full);
    // A delete keeps the row until it is committed; the server may find room for one meanwhile.
    let row = 0;
    await eventually(async () => {
      await assert.rejects(fillSmall, full);
      await assert.rejects(store.remove(removal(`fill-${row++}`), call), full);
    });
  }).timeout(120_000);
});
