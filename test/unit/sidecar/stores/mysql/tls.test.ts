// TLS to a server with a certificate of our own authority, as tls, pemPath and pemContents say. That a connection is
// encrypted shows in a user who may not come in otherwise.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { describeWithMysql, type MysqlServer, startMysql } from "#test/servers/mysql.ts";
import { call, openStore, write } from "./fixture.ts";

/** An address of this machine for which the certificate is not made out. */
const OTHER_ADDRESS = "127.0.0.2";

describeWithMysql("TLS to MySQL", () => {
  let certificates: Certificates;
  let server: MysqlServer;

  before(async () => {
    certificates = await makeCertificates();
    const folder = dirname(certificates.authorityFile);
    // The server may run as another user.
    spawnSync("chmod", ["-R", "a+rX", folder]);
    const files = [`--ssl-cert=${join(folder, "server.crt")}`, `--ssl-key=${join(folder, "server.key")}`];
    server = await startMysql({ args: [...files, `--bind-address=127.0.0.1,${OTHER_ADDRESS}`] });
    await server.query("CREATE USER secure@'%' IDENTIFIED BY 's3cr3t' REQUIRE SSL");
    await server.query("GRANT ALL ON *.* TO secure@'%'");
  });
  after(async () => {
    await server.stop();
    await certificates.remove();
  });

  interface Way {
    readonly parameters?: string;
    readonly fields?: Readonly<Record<string, string>>;
    readonly host?: string;
    readonly user?: string;
  }

  /** Opens a store and writes; rejects where it cannot. */
  async function opens({
    parameters = "",
    fields = {},
    host = "127.0.0.1",
    user = "secure:s3cr3t",
  }: Way): Promise<void> {
    const connectionString = `${user}@tcp(${host}:${server.port})/?${parameters}`;
    const store = await openStore({ fields: { connectionString, ...fields } });
    try {
      await store.set(write("k", "1"), call);
    } finally {
      await store.close();
    }
  }

  const pemPath = (): Record<string, string> => ({ pemPath: certificates.authorityFile });
  const pemContents = (): Record<string, string> => ({ pemContents: certificates.authority });

  it("is spoken as tls says, and whenever an authority is named", async () => {
    await opens({ parameters: "tls=skip-verify" });
    await opens({ parameters: "tls=preferred" });
    await opens({ parameters: "tls=custom", fields: pemPath() });
    await opens({ fields: pemPath() });
    await opens({ fields: pemContents() });
    await opens({ parameters: "tls=true", fields: pemContents(), host: "localhost" });
    await assert.rejects(opens({}), { code: "unavailable", message: /refused the user or the password/ });
    await assert.rejects(opens({ parameters: "tls=false" }), { code: "unavailable" });
    await opens({ parameters: "tls=false", user: "root" });
  });

  it("checks who has signed the certificate", async () => {
    const refused = {
      code: "unavailable",
      message: /cannot connect to mysql at .*check tls, pemPath and the server's/,
    };
    await assert.rejects(opens({ parameters: "tls=true" }), refused);
  });

  it("checks for which name and address the certificate is made out", async () => {
    const refused = {
      code: "unavailable",
      message: /: the server's certificate is for another name than 127\.0\.0\.2: 127\.0\.0\.1;/,
    };
    await assert.rejects(opens({ fields: pemPath(), host: OTHER_ADDRESS }), refused);
    await opens({ parameters: "tls=skip-verify", host: OTHER_ADDRESS });
    await opens({ fields: pemPath(), host: "127.0.0.1" });
  });

  it("has a password that is never shown", async () => {
    const error = await opens({ user: "secure:s3cr3t-wrong", fields: pemPath() }).catch((each: unknown) => each);
    assert.ok(error instanceof Error);
    assert.match(error.message, /refused the user or the password.*1045/);
    assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}${String(error.cause)}`, /s3cr3t/);
  });

  it("goes without it to a server that has none, where it is only preferred", async () => {
    const plain = await startMysql({ args: ["--skip-ssl"] });
    try {
      const at = (parameters: string): Promise<unknown> =>
        openStore({ fields: { connectionString: plain.dsn(parameters) } }).then((store) => store.close());
      await at("tls=preferred");
      await assert.rejects(at("tls=skip-verify"), {
        code: "unavailable",
        message: /does not support secure connection/,
      });
    } finally {
      await plain.stop();
    }
  });
});
