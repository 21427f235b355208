// The published bundle, in a folder where no client library of the stores can be found: what it says of a Component that
// needs one, and that it serves all others.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { OPTIONAL_PACKAGES } from "#sidecar/stores/packages.ts";
import { freePort } from "#test/servers/free-port.ts";
import { component } from "#test/wire/sidecar.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUILD_WITHIN_MS = 240_000;

type Fields = Readonly<Record<string, string>>;

const [CREDENTIALS, SIGNER, ENTRA, GOOGLE] = [
  "@aws-sdk/credential-providers",
  "@aws-sdk/rds-signer",
  "@azure/identity",
  "google-auth-library",
];
const POSTGRES = { connectionString: "host=127.0.0.1 port=1 user=me" };
const IAM = { ...POSTGRES, useAWSIAM: "true", awsRegion: "eu-central-1" };
const AZURE = { ...POSTGRES, useAzureAD: "true" };
const COSMOS = { url: "https://account.documents.azure.com:443/", database: "d", collection: "c" };
const BLOBS = { accountName: "account", containerName: "orders" };
const TABLE = { accountName: "account", tableName: "orders" };
const SPANNER = { project_id: "p", instanceId: "i", databaseId: "d" };
const KEY = "a2V5";

/** Types whose own client is in the bundle, with the packages that their fields ask for. */
const SIGNING_IN: readonly (readonly [type: string, fields: Fields, packages: readonly string[]])[] = [
  ["state.postgresql", POSTGRES, []],
  ["state.postgresql", AZURE, [ENTRA]],
  ["state.postgresql", IAM, [SIGNER]],
  ["state.postgresql", { ...IAM, assumeRoleArn: "arn:aws:iam::1:role/r" }, [SIGNER, CREDENTIALS]],
  ["state.redis", { redisHost: "127.0.0.1:1" }, []],
  ["state.redis", { redisHost: "127.0.0.1:1", useEntraID: "true" }, [ENTRA]],
  ["state.azure.cosmosdb", { ...COSMOS, masterKey: KEY }, []],
  ["state.azure.cosmosdb", COSMOS, [ENTRA]],
  ["state.azure.blobstorage", { ...BLOBS, accountKey: KEY }, []],
  ["state.azure.blobstorage", BLOBS, [ENTRA]],
  ["state.azure.tablestorage", { ...TABLE, accountKey: KEY }, []],
  ["state.azure.tablestorage", TABLE, [ENTRA]],
  ["state.gcp.firestore", { project_id: "p", endpoint: "localhost:1" }, []],
  ["state.gcp.firestore", { project_id: "p" }, [GOOGLE]],
  ["state.gcp.spanner", { ...SPANNER, endpoint: "localhost:1" }, []],
  ["state.gcp.spanner", SPANNER, [GOOGLE]],
];

/** Types whose client does not come with the bundle, with what their fields ask for besides it. */
const BESIDE_A_CLIENT: readonly (readonly [type: string, client: string, fields: Fields, wanted: string])[] = [
  [
    "state.aws.dynamodb",
    "@aws-sdk/client-dynamodb",
    { table: "orders", region: "eu-central-1", assumeRoleArn: "arn:aws:iam::1:role/r" },
    CREDENTIALS,
  ],
  ["state.mongodb", "mongodb", { host: "127.0.0.1:1", params: "?authMechanism=MONGODB-AWS" }, CREDENTIALS],
  ["state.sqlserver", "tedious", { connectionString: "Server=127.0.0.1;Port=1", useAzureAD: "true" }, ENTRA],
];

/** Of a type that has two layouts the one that is served. */
function manifest(type: string, fields: Fields): string {
  const text = component("statestore", type, fields);
  return type === "state.azure.blobstorage" ? text.replace("version: v1", "version: v2") : text;
}

/** What is said of a package, in whatever else is said. */
function missingIn(said: string): readonly string[] {
  return [...said.matchAll(SENTENCE)].map(([, name = "", command]) => {
    assert.equal(command, `npm install ${name}@${OPTIONAL_PACKAGES[name]}`);
    return name;
  });
}

const SENTENCE = /the package (\S+) is not installed: run `([^`]+)` where Pannier is installed/g;

describe("the bundle that is published", function () {
  this.timeout(BUILD_WITHIN_MS);
  let folder: string;
  let program: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-bundle-"));
    await run(process.execPath, ["build.ts", join(folder, "dist")], { cwd: ROOT });
    await writeFile(join(folder, "package.json"), '{"type":"module"}');
    program = join(folder, "dist/pannier.js");
  });
  after(() => rm(folder, { recursive: true }));

  interface Ended {
    readonly stdout: string;
    /** Undefined for 0. */
    readonly code?: number;
  }

  function pannier(...argv: readonly string[]): Promise<Ended> {
    return run(process.execPath, [program, ...argv]).catch((error: Ended) => error);
  }

  async function check(manifest: string): Promise<string> {
    const path = join(folder, "store.yaml");
    await writeFile(path, manifest);
    return (await pannier("check", path)).stdout;
  }

  /** A sidecar that cannot start with this Component. */
  async function failedStart(manifest: string): Promise<Ended> {
    const resources = await mkdtemp(join(folder, "resources-"));
    await writeFile(join(resources, "store.yaml"), manifest);
    const ports = [`--dapr-http-port=${await freePort()}`, `--dapr-grpc-port=${await freePort()}`];
    const own = ["--app-id=orders", "--enable-metrics=false", "--resources-path", resources];
    return pannier("sidecar", ...own, ...ports);
  }

  it("says which command installs the client of a store", async () => {
    const said = await check(component("statestore", "state.mongodb", { host: "localhost:27017" }));
    assert.match(
      said,
      /the package mongodb is not installed: run `npm install mongodb@[0-9.]+` where Pannier is installed/,
    );
    assert.match(said, /1 error/);
  });

  it("needs no more for the stores that it brings", async () => {
    for (const type of ["state.redis", "state.postgresql", "state.mysql", "state.etcd", "state.sqlite"])
      assert.doesNotMatch(await check(component("statestore", type, { redisHost: "x" })), /not installed/, type);
  });

  for (const [type, fields, packages] of SIGNING_IN) {
    const given = Object.keys(fields).join(", ");
    const needs = packages.length === 0 ? "needs no package" : `says that it needs ${packages.join(" and ")}`;
    it(`${needs} for ${type} with ${given}`, async () => {
      const said = await check(manifest(type, fields));
      assert.deepEqual(missingIn(said), packages);
      assert.match(said, packages.length === 0 ? / 0 errors/ : new RegExp(` ${packages.length} errors?`));
      if (packages.length === 0) return;
      const { stdout, code } = await failedStart(manifest(type, fields));
      assert.equal(code, 1);
      assert.deepEqual([...new Set(missingIn(stdout))], packages.slice(0, 1));
    });
  }

  it("places what is missing at the field that asks for it, and nowhere while a secret decides", async () => {
    const secretRef = (name: string): string => `    - name: ${name}\n      secretKeyRef: {name: s, key: k}\n`;
    // The connection string is not known here, and asks for nothing; the switch is.
    const switched =
      component("statestore", "state.postgresql", { useAzureAD: "true" }) + secretRef("connectionString");
    assert.match(
      await check(switched),
      /store\.yaml:9: component "statestore" \(state\.postgresql\): useAzureAD: want/,
    );
    const keyed = component("statestore", "state.azure.cosmosdb", COSMOS) + secretRef("masterKey");
    assert.deepEqual(missingIn(await check(keyed)), []);
    const maybe = component("statestore", "state.postgresql", POSTGRES) + secretRef("useAzureAD");
    assert.deepEqual(missingIn(await check(maybe)), []);
  });

  describe("beside the clients of some stores", () => {
    before(async () => {
      for (const [, client] of BESIDE_A_CLIENT) {
        const path = join(folder, "node_modules", client);
        await mkdir(dirname(path), { recursive: true });
        await symlink(join(ROOT, "node_modules", client), path);
      }
    });
    after(() => rm(join(folder, "node_modules"), { recursive: true }));

    for (const [type, client, fields, wanted] of BESIDE_A_CLIENT)
      it(`needs ${wanted} for ${type} too, which ${client} may not name`, async () => {
        assert.deepEqual(missingIn(await check(manifest(type, fields))), [wanted]);
        const { stdout, code } = await failedStart(manifest(type, fields));
        assert.equal(code, 1);
        assert.deepEqual([...new Set(missingIn(stdout))], [wanted]);
      });
  });

  it("has none of the optional packages inside", async () => {
    const listed: readonly string[] = JSON.parse(await readFile(join(folder, "dist/packages.json"), "utf8"));
    const inside = Object.keys(OPTIONAL_PACKAGES).filter((name) => listed.includes(`node_modules/${name}`));
    assert.deepEqual(inside, []);
    assert.ok((await readdir(join(folder, "dist"))).length > 10);
  });
});
