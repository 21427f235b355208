// A MySQL whose certificate's time is over, in all else as it should be.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { describeWithMysql, type MysqlServer, startMysql } from "#test/servers/mysql.ts";
import { openStore } from "./fixture.ts";

describeWithMysql("a MySQL whose certificate's time is over", () => {
  let certificates: Certificates;
  let server: MysqlServer;
  before(async () => {
    certificates = await makeCertificates({ expired: true });
    const { authorityFile, serverCertificateFile, serverKeyFile } = certificates;
    // The server may run as another user.
    spawnSync("chmod", ["-R", "a+rX", dirname(authorityFile)]);
    server = await startMysql({ args: [`--ssl-cert=${serverCertificateFile}`, `--ssl-key=${serverKeyFile}`] });
  });
  after(async () => {
    await server?.stop();
    await certificates?.remove();
  });

  const open = async (parameters: string, fields: Readonly<Record<string, string>>): Promise<void> => {
    const store = await openStore({ fields: { connectionString: server.dsn(parameters), ...fields } });
    await store.close();
  };

  it("says that the server's certificate has expired", async () => {
    await assert.rejects(open("tls=custom", { pemPath: certificates.authorityFile }), {
      code: "unavailable",
      message: new RegExp(
        `cannot connect to mysql at 127\\.0\\.0\\.1:${server.port}: the server's certificate has expired`,
      ),
    });
    // Nothing else is wrong with it.
    await open("tls=skip-verify", {});
  });
});
