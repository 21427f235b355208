// TLS to a server with a certificate of our own authority, by each level of sslmode, with passwords and certificates.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { call, openStore, write } from "./fixture.ts";

describeWithPostgres("TLS to PostgreSQL", () => {
  let certificates: Certificates;
  let server: PostgresServer;
  before(async () => {
    certificates = await makeCertificates();
    server = await startPostgres({ password: "p@ss word" });
    // The server reads its key only when no one else can.
    for (const [from, to] of [
      [certificates.serverCertificateFile, "server.crt"],
      [certificates.serverKeyFile, "server.key"],
      [certificates.authorityFile, "root.crt"],
    ] as const) {
      copyFileSync(from, join(server.folder, "data", to));
      chmodSync(join(server.folder, "data", to), 0o600);
    }
    if (process.getuid?.() === 0) spawnSync("chown", ["-R", "postgres", join(server.folder, "data")]);
    await server.query("ALTER SYSTEM SET ssl = on");
    await server.query("ALTER SYSTEM SET ssl_ca_file = 'root.crt'");
    await server.query("SELECT pg_reload_conf()");
  });
  after(async () => {
    await server.stop();
    await certificates.remove();
  });

  /** Opens and closes a store. */
  async function opens(more: string): Promise<void> {
    const store = await openStore({ version: "v2", fields: { connectionString: `${server.url()}?${more}` } });
    await store.close();
  }

  async function speaksTls(more: string): Promise<boolean> {
    const store = await openStore({ version: "v2", fields: { connectionString: `${server.url()}?${more}` } });
    try {
      await store.set(write("k", "1"), call);
      const text = `SELECT bool_and(ssl) AS tls FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'pannier-test'`;
      return (await server.query(text))[0]?.tls === true;
    } finally {
      await store.close();
    }
  }

  it("is spoken when the server can, unless sslmode says otherwise", async () => {
    assert.equal(await speaksTls(""), true);
    assert.equal(await speaksTls("sslmode=require"), true);
    assert.equal(await speaksTls("sslmode=allow"), false);
    assert.equal(await speaksTls("sslmode=disable"), false);
  });

  it("checks the certificate, and the name in it", async () => {
    const root = `sslrootcert=${certificates.authorityFile}`;
    assert.equal(await speaksTls(`sslmode=verify-ca&${root}`), true);
    assert.equal(await speaksTls(`sslmode=verify-full&${root}`), true);
    assert.equal(await speaksTls(`sslmode=verify-full&${root}&host=localhost&hostaddr=127.0.0.1`), true);
    assert.equal(await speaksTls(`sslmode=verify-ca&${root}&host=other&hostaddr=127.0.0.1`), true);
    const refused = { code: "unavailable", message: /cannot connect to postgresql at .*check sslmode, sslrootcert/ };
    await assert.rejects(speaksTls("sslmode=verify-full"), refused);
    await assert.rejects(speaksTls(`sslmode=verify-full&${root}&host=other&hostaddr=127.0.0.1`), refused);
  });

  it("comes with a password that is checked and never shown", async () => {
    const fields = { connectionString: server.url(), password: "s3cr3t" };
    const error = await openStore({ version: "v1", fields }).catch((each: unknown) => each);
    assert.ok(error instanceof Error);
    assert.match(error.message, /check user and password|28P01|28000/);
    assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}${String(error.cause)}`, /s3cr3t/);
  });

  it("carries a client's certificate", async () => {
    const files = { sslcert: join(server.folder, "client.crt"), sslkey: join(server.folder, "client.key") };
    await writeFile(files.sslcert, certificates.clientCertificate);
    await writeFile(files.sslkey, certificates.clientKey);
    const lines = "hostssl all postgres 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
    await writeFile(join(server.folder, "data/pg_hba.conf"), lines);
    const { sslcert, sslkey } = files;
    // From here on nobody comes in without one: this test is the last.
    await server.restart();
    await opens(`sslmode=require&sslcert=${sslcert}&sslkey=${sslkey}`);
    await assert.rejects(opens("sslmode=require"), { code: "unavailable", message: /28000/ });
  });
});
