// An etcd whose certificate's time is over, in all else as it should be.
import assert from "node:assert/strict";
import { copyFile } from "node:fs/promises";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { describeWithEtcd, type EtcdServer, startEtcd } from "#test/servers/etcd.ts";
import { openStore } from "./fixture.ts";

describeWithEtcd("an etcd server whose certificate's time is over", () => {
  let valid: Certificates;
  let expired: Certificates;
  let server: EtcdServer;
  before(async () => {
    [valid, expired] = await Promise.all([makeCertificates(), makeCertificates({ expired: true })]);
    server = await startEtcd({ certificates: valid });
  });
  after(async () => {
    await server?.stop();
    await Promise.all([valid?.remove(), expired?.remove()]);
  });

  it("says that the server's certificate has expired", async () => {
    const fields = ({
      authority: ca,
      clientCertificate: cert,
      clientKey: key,
    }: Certificates): Record<string, string> => ({
      ...{ endpoints: server.address, tlsEnable: "true" },
      ...{ ca, cert, key },
    });
    const store = await openStore("v2", fields(valid));
    await store.close();
    // etcd reads the files anew for each connection.
    await copyFile(expired.serverKeyFile, valid.serverKeyFile);
    await copyFile(expired.serverCertificateFile, valid.serverCertificateFile);
    await assert.rejects(openStore("v2", fields(expired)), {
      code: "unavailable",
      message: new RegExp(`cannot connect to etcd at ${server.address}: the server's certificate has expired;`),
    });
  });
});
