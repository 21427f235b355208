// The rows of docs/differences.md that show on CockroachDB and YugabyteDB, over HTTP against a PostgreSQL in their place.
import assert from "node:assert/strict";
import { hasErrors } from "#kit/fault.ts";
import { driver } from "#sidecar/stores/postgresql/cockroachdb.ts";
import { makeStandIn } from "#test/servers/cockroachdb.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const DATABASE = "standin";

describeWithPostgres("differences on CockroachDB and YugabyteDB", () => {
  let server: PostgresServer;
  let wire: WireSidecar;
  const metadata = (): Record<string, string> => ({ connectionString: server.url(DATABASE) });
  const yugabyte = (): string =>
    component("yugabyte", "state.yugabyte", { ...metadata(), tablePrefix: "y_" }).replace("version: v1", "version: v2");

  before(async () => {
    server = await startPostgres();
    await makeStandIn(server, DATABASE);
    const cockroach = component("statestore", "state.cockroachdb", metadata());
    wire = await startWire({ manifests: { "a.yaml": cockroach, "b.yaml": yugabyte() } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  const etagOf = async (key: string): Promise<unknown> =>
    (await ask(wire, "GET", `/v1.0/state/statestore/${key}`)).headers.etag;

  it("CR1: each write raises the ETag", async () => {
    for (const etag of ["1", "2", "3"]) {
      await save(wire, "cr1", etag);
      assert.equal(await etagOf("cr1"), etag);
    }
  });

  it("CR2: what met another change is tried again", async () => {
    const once = `CREATE SEQUENCE tries;
      CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF nextval('tries') = 1 THEN RAISE EXCEPTION 'met' USING ERRCODE = '40001'; END IF; RETURN new; END $$;
      CREATE TRIGGER meet BEFORE INSERT ON state FOR EACH ROW EXECUTE FUNCTION meet()`;
    await server.query(once, [], DATABASE);
    await save(wire, "cr2", "1");
    assert.deepEqual(await server.query("SELECT last_value::int AS tries FROM tries", [], DATABASE), [{ tries: 2 }]);
  });

  it("CR3: a table in a schema is found at the second start", async () => {
    await server.query("CREATE SCHEMA shop", [], DATABASE);
    const manifest = component("statestore", "state.cockroachdb", { ...metadata(), tableName: "shop.state" });
    for (let start = 0; start < 2; start++) {
      const other = await startWire({ manifests: { "a.yaml": manifest } });
      try {
        await save(other, "cr3", "1");
      } finally {
        await other.stop();
      }
    }
  });

  it("CR4: a sign-in by tokens is refused in v1", () => {
    const isRefused = (more: Readonly<Record<string, string>>): boolean => {
      const pairs = { ...metadata(), awsRegion: "eu-west-1", ...more };
      const properties = Object.entries(pairs).map(([name, value]) => ({ name, value, secret: false }));
      return hasErrors(driver.decode(properties, []).faults);
    };
    assert.deepEqual(
      [isRefused({ useAWSIAM: "true" }), isRefused({ useAzureAD: "true" }), isRefused({ useAWSIAM: "false" })],
      [true, true, false],
    );
  });

  it("CR5: keys of YugabyteDB are not listed", async () => {
    const path = (store: string): string => `/pannier/v1/state/${store}/keys`;
    assert.equal((await ask(wire, "GET", path("statestore"))).status, 200);
    const { status, text } = await ask(wire, "GET", path("yugabyte"));
    assert.equal(status, 500);
    assert.match(text, /PANNIER_STATE_LIST_NOT_SUPPORTED/);
  });
});
