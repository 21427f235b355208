// Whom the driver trusts: a server that speaks TDS encrypts as connection strings ask for it, and the certificate is right
// or wrong in one thing.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import type { Store } from "#sidecar/stores/store.ts";
import { type Authorities, makeAuthorities } from "#test/servers/authorities.ts";
import type { Certificates } from "#test/servers/certificates.ts";
import { type TdsRequest, TdsServer } from "#test/servers/tds/tds-server.ts";
import { TlsFront } from "#test/servers/tls-front.ts";
import { keeping } from "#test/stores/bench.ts";
import { call, columnsAnswer, eventually, METADATA, openStore, read, V1 } from "./fixture.ts";

const HINT = "; check encrypt, TrustServerCertificate and the server's certificate";

/** "true": a first exchange in the clear, then TLS in packets of TDS. "strict": TLS from the first byte. */
const ENCRYPTIONS = ["true", "strict"] as const;

interface Server {
  readonly port: number;
  readonly tds: TdsServer;
  show(certificates: Certificates): Promise<void>;
}

describe("SQL Server over TLS", () => {
  const { keep } = keeping();
  let made: Authorities;
  let own: Certificates;
  let expired: Certificates;
  let elsewhere: Certificates;
  /** A file with the authorities of all. */
  let authorities: string;

  before(async () => {
    made = await makeAuthorities();
    ({ own, expired, elsewhere, file: authorities } = made);
  });
  after(() => made?.remove());

  const answer = (request: TdsRequest): ReturnType<typeof columnsAnswer> =>
    columnsAnswer(request, { state: V1, dapr_metadata: METADATA });

  async function serve(encryption: (typeof ENCRYPTIONS)[number], certificates: Certificates): Promise<Server> {
    if (encryption === "strict") {
      const tds = await TdsServer.start({ answer });
      keep(tds, () => tds.stop());
      const target = { host: "127.0.0.1", port: tds.port };
      const front = await TlsFront.start({ target, certificates, protocols: ["tds/8.0"] });
      keep(front, () => front.stop());
      return { port: front.port, tds, show: (other) => front.show(other) };
    }
    let shown = contextOf(certificates);
    const tds = await TdsServer.start({ answer, tls: () => shown });
    keep(tds, () => tds.stop());
    const show = async (other: Certificates): Promise<void> => {
      shown = contextOf(other);
      tds.cut();
    };
    return { port: tds.port, tds, show };
  }

  async function open(port: number, ...parameters: readonly string[]): Promise<Store> {
    const connectionString = [`Server=127.0.0.1;Port=${port};User Id=app;Password=secret-password`, ...parameters];
    const store = await openStore({ fields: { connectionString: connectionString.join(";") } });
    return keep(store, () => store.close());
  }

  const refuses = (opening: Promise<unknown>, port: number, why: string): Promise<void> =>
    assert.rejects(opening, {
      code: "unavailable",
      message: `cannot connect to sqlserver at 127.0.0.1:${port}: ${why}${HINT}`,
    });

  for (const encryption of ENCRYPTIONS)
    describe(`with encrypt=${encryption}`, () => {
      const encrypt = `encrypt=${encryption}`;

      it("trusts a server whose authority the parameter certificate names", async () => {
        const { port, tds } = await serve(encryption, own);
        const store = await open(port, encrypt, `certificate=${own.authorityFile}`);
        assert.equal(await store.get("k", read, call), null);
        assert.ok(tds.logins.every(({ user }) => user === "app") && tds.logins.length > 0);
      });

      it("refuses a server of an authority that nobody named", async () => {
        const { port } = await serve(encryption, own);
        const why = "the server's certificate is of an unknown authority";
        await refuses(open(port, encrypt), port, why);
        // Under "strict" the parameter has no say, as with every client of TDS 8.
        if (encryption === "true") await open(port, encrypt, "TrustServerCertificate=true");
        else await refuses(open(port, encrypt, "TrustServerCertificate=true"), port, why);
      });

      it("does not connect with a file of authorities that holds none", async () => {
        const { port } = await serve(encryption, own);
        const message = `certificate in connectionString: ${own.serverKeyFile}: holds no certificate`;
        await assert.rejects(open(port, encrypt, `certificate=${own.serverKeyFile}`), { code: "unavailable", message });
      });

      it("refuses a certificate of another name, unless HostNameInCertificate has that", async () => {
        const { port } = await serve(encryption, elsewhere);
        const trusting = [encrypt, `certificate=${authorities}`];
        await refuses(open(port, ...trusting), port, "the server's certificate is for another name than 127.0.0.1");
        await open(port, ...trusting, "HostNameInCertificate=elsewhere.test");
      });

      it("refuses a certificate whose time is over", async () => {
        const { port } = await serve(encryption, expired);
        const opening = open(port, encrypt, `certificate=${authorities}`);
        await refuses(opening, port, "the server's certificate has expired");
      });

      it("says so to requests too when the time is over later, and finds back when there is a new one", async () => {
        const { port, show } = await serve(encryption, own);
        const store = await open(port, encrypt, `certificate=${authorities}`);
        await show(expired);
        // The first one may find a connection broken that was still good when it was sent.
        await eventually(() => refuses(store.get("k", read, call), port, "the server's certificate has expired"));
        await show(own);
        await eventually(async () => assert.equal(await store.get("k", read, call), null));
      });
    });
});

function contextOf({ serverCertificateFile, serverKeyFile }: Certificates): SecureContextOptions {
  return { cert: readFileSync(serverCertificateFile), key: readFileSync(serverKeyFile) };
}
