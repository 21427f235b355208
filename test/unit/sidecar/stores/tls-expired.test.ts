// Stores behind a certificate whose time is over, where no server for tests speaks TLS: a bare TLS port stands for them, for
// the client has to stop before it says or hears a word. Those with a server have the test in their own folders.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, getCACertificates, type Server, setDefaultCACertificates } from "node:tls";
import { systemClock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { loadDriver } from "#sidecar/stores/registry.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";

const KEY = Buffer.from("no key of anybody").toString("base64");

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
/** Of an account that signs its own tokens. */
const ACCOUNT = {
  project_id: "test",
  private_key_id: "k1",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  client_email: "app@test.iam.gserviceaccount.com",
};

const ignore = (): void => undefined;
const log: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore, scoped: () => log };

type Fields = Readonly<Record<string, string>>;

/** Each store's Component for the address, and how its message names the place and the cause. */
const STORES: readonly (readonly [type: string, fields: (port: number, ca: string) => Fields, cause: RegExp])[] = [
  [
    "state.aws.dynamodb",
    (port) => ({
      ...{ endpoint: `https://127.0.0.1:${port}`, region: "eu-west-1", table: "state" },
      ...{ accessKey: "id", secretKey: "s3cr3t" },
    }),
    /^cannot connect to DynamoDB .*: the server's certificate has expired; check endpoint and its certificate$/,
  ],
  [
    "state.azure.blobstorage",
    (port) => ({
      ...{ accountName: "account", accountKey: KEY, containerName: "state" },
      endpoint: `https://127.0.0.1:${port}`,
    }),
    /^cannot connect to .* at .*: the server's certificate has expired; check the address, and the server's certificate$/,
  ],
  [
    "state.azure.cosmosdb",
    (port) => ({ url: `https://localhost:${port}/`, masterKey: KEY, database: "d", collection: "c" }),
    /^cannot connect to Cosmos DB at .*: the server's certificate has expired; this machine does not trust/,
  ],
  [
    "state.azure.tablestorage",
    (port) => ({
      ...{ accountName: "account", accountKey: KEY, tableName: "state" },
      serviceURL: `https://127.0.0.1:${port}/account`,
    }),
    /^cannot connect to .* at .*: the server's certificate has expired; check the address, and the server's certificate$/,
  ],
  [
    "state.cassandra",
    (port, ca) => ({ hosts: `127.0.0.1:${port}`, enableHostVerification: "true", ca }),
    /^cannot reach cassandra at .*: the server's certificate has expired$/,
  ],
  [
    "state.gcp.firestore",
    (port) => ({ ...ACCOUNT, endpoint: `https://127.0.0.1:${port}` }),
    /^cannot connect to datastore at .*: the server's certificate has expired; check endpoint, and the server's certificate$/,
  ],
  [
    "state.gcp.spanner",
    (port) => ({ ...ACCOUNT, instance_id: "test", database_id: "test", endpoint: `https://127.0.0.1:${port}` }),
    /^cannot connect to spanner at .*: the server's certificate has expired; check endpoint, and the server's certificate$/,
  ],
  [
    "state.mongodb",
    (port) => ({ host: `127.0.0.1:${port}`, params: "?tls=true&directConnection=true&serverSelectionTimeoutMS=1000" }),
    /^cannot connect to mongodb at .*: the server's certificate has expired; check tls in params/,
  ],
];

describe("a certificate whose time is over", () => {
  const trusted = getCACertificates("default");
  let certificates: Certificates;
  let server: Server;
  let port: number;

  before(async () => {
    certificates = await makeCertificates({ expired: true });
    setDefaultCACertificates([...trusted, certificates.authority]);
    const [cert, key] = await Promise.all(
      [certificates.serverCertificateFile, certificates.serverKeyFile].map((file) => readFile(file)),
    );
    server = createServer({ cert, key }, (socket) => void socket.destroy());
    // Clients that do not trust it end the handshake.
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
  });
  after(async () => {
    setDefaultCACertificates(trusted);
    await new Promise((resolve) => server.close(resolve));
    await certificates.remove();
  });

  for (const [type, fields, message] of STORES)
    it(`is what ${type} says is wrong with its server, which it names`, async function () {
      this.timeout(120_000);
      const driver = await loadDriver(type);
      assert.ok(driver !== null);
      const given = Object.entries(fields(port, certificates.authority));
      // Of the blobs' versions only v2 opens without more ado.
      const store = (driver.byVersion?.v2 ?? driver).decode(
        given.map(([name, value]) => ({ name, value, secret: false })),
        [],
      );
      assert.deepEqual(store.faults, []);
      const opening = store.open({
        ...{ component: "test", appId: "app", clock: systemClock, random: systemRandom, log },
        signal: AbortSignal.timeout(30_000),
      });
      await assert.rejects(opening, (error: Error) => {
        assert.match(error.message, message);
        assert.match(error.message, new RegExp(`(127\\.0\\.0\\.1|localhost):${port}`));
        return "code" in error && error.code === "unavailable";
      });
    });
});
