// A Redis whose certificate's time is over, in all else as it should be.
import assert from "node:assert/strict";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { onServersOfItsOwn, openStore } from "./fixture.ts";

describeWithRedis("a Redis whose certificate's time is over", () => {
  const { start, open } = onServersOfItsOwn();
  const trusted = getCACertificates("default");
  let certificates: Certificates;
  before(async () => {
    certificates = await makeCertificates({ expired: true });
    setDefaultCACertificates([...trusted, certificates.authority]);
  });
  after(async () => {
    setDefaultCACertificates(trusted);
    await certificates?.remove();
  });

  it("says that the server's certificate has expired", async () => {
    const server = await start({ tls: { certificates, clientCertificates: false } });
    await assert.rejects(openStore({ port: server.port, fields: { enableTLS: "true" } }), {
      code: "unavailable",
      message: new RegExp(
        `cannot connect to redis at 127\\.0\\.0\\.1:${server.port}: the server's certificate has expired`,
      ),
    });
    // Nothing else is wrong with it.
    await open(server.port, { enableTLS: "true", insecureSkipTLSVerify: "true" });
  });
});
