// Expired rows leave the table, by one of the sidecars and not more often than asked for (dapr-state-stores.md 0.8, 19).
import assert from "node:assert/strict";
import { Client } from "pg";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { MovableClock } from "#test/unit/sidecar/stores/redis/movable-clock.ts";
import { call, eventually, listeningLog, onOneServer, openStore, textOf, VERSIONS, write } from "./fixture.ts";

const HOUR_MS = 3_600_000;

describeWithPostgres("the cleanup of PostgreSQL tables", () => {
  const { server, database, open, keep } = onOneServer();

  const LAST = { v1: "last-cleanup", v2: "last-cleanup-state-v2-" } as const;
  const EXPIRY = { v1: "expiredate", v2: "expires_at" } as const;

  async function seed(name: string, version: "v1" | "v2", rows: number, expires: string): Promise<void> {
    const columns = version === "v1" ? "key, value, isbinary" : "key, value";
    const values = version === "v1" ? "n || $1, '1', false" : "n || $1, '1'";
    const text = `INSERT INTO state (${columns}, ${EXPIRY[version]})
      SELECT ${values}, now() + $1::interval FROM generate_series(1, ${rows}) n`;
    await server().query(text, [expires], name);
  }
  const rowsIn = async (name: string): Promise<unknown> =>
    (await server().query("SELECT count(*)::int AS count FROM state", [], name))[0]?.count;

  for (const version of VERSIONS) {
    it(`removes what has expired from ${version}, and nothing else`, async () => {
      const name = await database();
      const store = await open(version, name, { cleanupInterval: "300ms" });
      await seed(name, version, 25_000, "-1 second");
      await seed(name, version, 10, "1 hour");
      await store.set(write("stays", "1"), call);
      await eventually(async () => assert.equal(await rowsIn(name), 11));
      assert.equal(await textOf(store, "stays"), "1");
      const [last] = await server().query(
        "SELECT value::timestamptz AS at FROM dapr_metadata WHERE key = $1",
        [LAST[version]],
        name,
      );
      assert.ok(Math.abs(Date.now() - Number(last?.at)) < 10_000);
    });

    it(`leaves ${version} to the sidecar that was there first`, async () => {
      const name = await database();
      await open(version, name, { cleanupInterval: "1h" });
      // Half an hour ago by the row that Dapr keeps too.
      const text = "INSERT INTO dapr_metadata VALUES ($1, (now() - interval '30 minutes')::text)";
      await server().query(text, [LAST[version]], name);
      const log = listeningLog();
      await open(version, name, { cleanupInterval: "200ms" }, log);
      await seed(name, version, 1, "-1 second");
      await eventually(async () => assert.equal(await rowsIn(name), 0));
      await server().query(
        "UPDATE dapr_metadata SET value = (now() + interval '1 hour')::text WHERE key = $1",
        [LAST[version]],
        name,
      );
      await seed(name, version, 1, "-2 seconds");
      await new Promise((resolve) => setTimeout(resolve, 700));
      assert.equal(await rowsIn(name), 1);
      assert.deepEqual(log.warnings, []);
    });
  }

  it("may take longer than a call", async () => {
    const name = await database();
    const clock = new MovableClock();
    const log = listeningLog();
    const connectionString = server().url(name);
    const store = await openStore({ version: "v2", fields: { connectionString, cleanupInterval: "1h" }, clock, log });
    keep(store, () => store.close());
    await seed(name, "v2", 1, "-1 second");
    const other = new Client({ connectionString });
    await other.connect();
    keep(other, () => other.end());
    await other.query("BEGIN; LOCK TABLE dapr_metadata");
    clock.move(HOUR_MS);
    const waits = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'";
    await eventually(async () => assert.equal((await server().query(waits, [name])).length, 1));
    // More than any call has by default.
    clock.move(HOUR_MS / 10);
    await other.query("COMMIT");
    await eventually(async () => assert.ok((await rowsIn(name)) === 0 || log.warnings.length > 0));
    assert.deepEqual(log.warnings, []);
  });

  it("is off at zero and below", async () => {
    const name = await database();
    await open("v1", name, { cleanupInterval: "0" });
    await open("v1", name, { cleanupInterval: "-1s" });
    await seed(name, "v1", 1, "-1 second");
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(await rowsIn(name), 1);
  });

  it("warns when it fails, and tries again", async () => {
    const name = await database();
    const log = listeningLog();
    await open("v1", name, { cleanupInterval: "200ms" }, log);
    await server().query("ALTER TABLE dapr_metadata RENAME TO away", [], name);
    await eventually(async () => assert.match(log.warnings.join(), /cleanup of expired rows failed.*42P01/));
    await server().query("ALTER TABLE away RENAME TO dapr_metadata", [], name);
    await seed(name, "v1", 1, "-1 second");
    await eventually(async () => assert.equal(await rowsIn(name), 0));
  });
});
