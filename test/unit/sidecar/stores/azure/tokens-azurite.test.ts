// Requests with a token of Entra ID over TLS, as Azurite takes them: it looks at what a token says, and not who signed it.
// So the test makes its own, and leaves out only the sign-in.
import assert from "node:assert/strict";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import type { Tokens } from "#sidecar/stores/azure/entra-tokens.ts";
import { StorageLink } from "#sidecar/stores/azure/storage-link.ts";
import { Container, VERSION } from "#sidecar/stores/blobstorage/container.ts";
import { HEADERS, Table } from "#sidecar/stores/tablestorage/table.ts";
import { type Azurite, describeWithAzurite, startAzurite } from "#test/servers/azurite.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { call } from "./fixture.ts";

const TENANT = "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/";
const HOUR_SEC = 3600;

function tokenFor(audience: string): string {
  const now = Math.floor(Date.now() / 1000);
  const says = { aud: audience, iss: TENANT, iat: now - 10, nbf: now - 10, exp: now + HOUR_SEC };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256", typ: "JWT" })}.${part(says)}.c2lnbmF0dXJl`;
}

describeWithAzurite("a token of Entra ID", () => {
  const usual = getCACertificates("default");
  let certificates: Certificates;
  let azurite: Azurite;
  const links: StorageLink[] = [];

  before(async function () {
    this.timeout(120_000);
    certificates = await makeCertificates();
    setDefaultCACertificates([...usual, certificates.authority]);
    const { serverCertificateFile, serverKeyFile } = certificates;
    azurite = await startAzurite(["--oauth", "basic", "--cert", serverCertificateFile, "--key", serverKeyFile]);
  });
  after(async () => {
    for (const link of links) link.close();
    await azurite.stop();
    setDefaultCACertificates(usual);
    await certificates.remove();
  });

  function link(port: number, headers: Readonly<Record<string, string>>, audience: string): StorageLink {
    const tokens: Tokens = { current: async () => tokenFor(audience), forget: () => undefined };
    const base = new URL(`https://127.0.0.1:${port}/${azurite.account}`);
    const rest = { headers, retries: 0, clock: systemClock, random: systemRandom };
    const made = new StorageLink({ service: "Azure", base, identity: { kind: "tokens", tokens }, ...rest });
    links.push(made);
    return made;
  }

  it("opens the blobs of an account", async () => {
    const container = new Container(
      link(azurite.blobPort, { "x-ms-version": VERSION }, "https://storage.azure.com"),
      "state",
    );
    await container.create("none", call);
    const blob = { bytes: Buffer.from("1"), headers: {}, condition: { etag: null, absent: true } };
    assert.equal(await container.put("app||k", blob, call), null);
    assert.equal(String((await container.get("app||k", call))?.bytes), "1");
  });

  it("opens the tables of an account", async () => {
    const made = link(azurite.tablePort, HEADERS, "https://storage.azure.com");
    const table = new Table(made, new URL(`https://127.0.0.1:${azurite.tablePort}/${azurite.account}`), "state");
    await table.create(call);
    const name = { partition: "app", row: "k" };
    const body = Buffer.from(JSON.stringify({ PartitionKey: "app", RowKey: "k", Value: "1" }));
    assert.equal(await table.apply({ kind: "insert", name, body }, call), null);
    assert.equal(await table.applyAll([{ kind: "put", name, body, etag: null }], "b", call), null);
    assert.equal((await table.get(name, call))?.Value, "1");
  });

  it("is shown to no server whose certificate nobody vouches for", async () => {
    setDefaultCACertificates(usual);
    try {
      const stranger = new Container(link(azurite.blobPort, {}, "https://storage.azure.com"), "state");
      await assert.rejects(stranger.get("app||k", call), {
        code: "unavailable",
        message:
          /^cannot connect to Azure at .*: the server's certificate is of an unknown authority; check the address, and the server's certificate$/,
      });
    } finally {
      setDefaultCACertificates([...usual, certificates.authority]);
    }
  });

  it("for somebody else opens nothing", async () => {
    const other = new Container(
      link(azurite.blobPort, { "x-ms-version": VERSION }, "https://graph.microsoft.com"),
      "state",
    );
    await assert.rejects(other.get("app||k", call), { code: "unavailable", message: /does not/ });
  });
});
