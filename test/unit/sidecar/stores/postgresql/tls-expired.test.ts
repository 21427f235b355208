// A PostgreSQL whose certificate's time is over, in all else as it should be.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { openStore } from "./fixture.ts";

describeWithPostgres("a PostgreSQL whose certificate's time is over", () => {
  let certificates: Certificates;
  let server: PostgresServer;
  before(async () => {
    certificates = await makeCertificates({ expired: true });
    server = await startPostgres();
    // The server reads its key only when no one else can.
    for (const [from, name] of [
      [certificates.serverCertificateFile, "server.crt"],
      [certificates.serverKeyFile, "server.key"],
    ] as const) {
      const to = join(server.folder, "data", name);
      copyFileSync(from, to);
      chmodSync(to, 0o600);
      if (process.getuid?.() === 0) spawnSync("chown", ["postgres", to]);
    }
    await server.query("ALTER SYSTEM SET ssl = on");
    await server.query("SELECT pg_reload_conf()");
  });
  after(async () => {
    await server?.stop();
    await certificates?.remove();
  });

  const open = async (parameters: string): Promise<void> => {
    const connectionString = `${server.url()}?${parameters}`;
    const store = await openStore({ version: "v2", fields: { connectionString } });
    await store.close();
  };

  it("says that the server's certificate has expired", async () => {
    for (const sslmode of ["verify-ca", "verify-full"])
      await assert.rejects(open(`sslmode=${sslmode}&sslrootcert=${certificates.authorityFile}`), {
        code: "unavailable",
        message: new RegExp(
          `cannot connect to postgresql at 127\\.0\\.0\\.1:${server.port}.*: the server's certificate has expired`,
        ),
      });
    // Nothing else is wrong with it.
    await open("sslmode=require");
  });
});
