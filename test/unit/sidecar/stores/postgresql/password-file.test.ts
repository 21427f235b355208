import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { passwordIn, type SignInPlace } from "#sidecar/stores/postgresql/password-file.ts";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { call, eventually, onOneServer, openStore, textOf, write } from "./fixture.ts";

describe("a password file", () => {
  const place: SignInPlace = { host: "db", port: 5432, database: "orders", user: "app" };
  const cases: [text: string, given: Partial<SignInPlace>, password: string | null][] = [
    ["db:5432:orders:app:secret", {}, "secret"],
    ["other:5432:orders:app:no\ndb:5432:orders:app:first\n*:*:*:*:second", {}, "first"],
    ["*:*:*:*:any", {}, "any"],
    ["db:5433:orders:app:no", {}, null],
    ["db:5432:orders:App:no", {}, null],
    ["#db:5432:orders:app:no\r\ndb:5432:orders:app:yes\r\n", {}, "yes"],
    ["localhost:5432:orders:app:socket", { host: "/run/postgresql" }, "socket"],
    ["db:5432:orders:a\\:b:c\\:d\\\\e", { user: "a:b" }, "c:d\\e"],
    ["\\*:5432:orders:app:no", {}, null],
    ["db:5432:orders:app:", {}, ""],
    ["db:5432:orders:app:with:colons", {}, "with:colons"],
    ["db:5432:orders:app:at the end\\", {}, "at the end\\"],
    ["db:5432:orders\\", { database: "orders\\" }, null],
    ["db:5432:orders:app", {}, null],
    ["", {}, null],
  ];
  for (const [text, given, password] of cases)
    it(`gives ${JSON.stringify(password)} by ${JSON.stringify(text)}`, () =>
      assert.equal(passwordIn(text, { ...place, ...given }), password));
});

describeWithPostgres("a password file of a PostgreSQL store", () => {
  const { server, keep } = onOneServer({ password: "of the superuser" });

  it("is not there, nor another password: that is said, with where to set one", async () => {
    const { host, port } = server();
    const fields = { connectionString: `host=${host} port=${port} user=postgres dbname=postgres` };
    await assert.rejects(openStore({ version: "v2", fields }), {
      code: "unavailable",
      message: `postgresql at ${host}:${port} wants a password; set password, or password or passfile in connectionString`,
    });
  });

  it("is read for each connection, and named where it cannot be read", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-pgpass-"));
    keep(folder, () => rm(folder, { recursive: true }));
    const path = join(folder, "pass word");
    const take = async (password: string): Promise<void> => {
      await server().query(`ALTER ROLE app PASSWORD '${password}'`);
      await writeFile(path, `127.0.0.1:${server().port}:postgres:app:${password}\n`);
    };
    await server().query("CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app");
    const connectionString = `host=127.0.0.1 port=${server().port} user=app dbname=postgres passfile='${path}'`;
    const fields = { connectionString, maxConns: "2" };
    await assert.rejects(openStore({ version: "v2", fields }), {
      code: "unavailable",
      message: /^passfile: .*pass word: ENOENT; give the path/,
    });
    await take("first");
    const store = await openStore({ version: "v2", fields });
    keep(store, () => store.close());
    await take("second");
    await server().query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
    await eventually(() => store.set(write("k", "1"), call));
    assert.equal(await textOf(store, "k"), "1");
  });
});
