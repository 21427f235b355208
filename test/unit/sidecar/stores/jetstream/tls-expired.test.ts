// A NATS server whose certificate's time is over, in all else as it should be.
import assert from "node:assert/strict";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { makeCertificates } from "#test/servers/certificates.ts";
import { describeWithNats, startNats } from "#test/servers/nats.ts";
import { openStore } from "./fixture.ts";

describeWithNats("a NATS server whose certificate's time is over", () => {
  it("says that the server's certificate has expired", async () => {
    const certificates = await makeCertificates({ expired: true });
    const files = `cert_file: "${certificates.serverCertificateFile}", key_file: "${certificates.serverKeyFile}"`;
    const server = await startNats({ settings: [`tls { ${files} }`] });
    const trusted = getCACertificates("default");
    try {
      setDefaultCACertificates([...trusted, certificates.authority]);
      await assert.rejects(openStore({ natsURL: `tls://127.0.0.1:${server.port}` }), {
        code: "unavailable",
        message: new RegExp(
          `cannot connect to NATS at 127\\.0\\.0\\.1:${server.port}: the server's certificate has expired$`,
        ),
      });
    } finally {
      setDefaultCACertificates(trusted);
      await server.stop();
      await certificates.remove();
    }
  });
});
