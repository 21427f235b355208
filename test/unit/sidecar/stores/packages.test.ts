import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseDriver } from "#sidecar/components/component-type.ts";
import { lackingPackages, loading, OPTIONAL_PACKAGES, PackageMissing } from "#sidecar/stores/packages.ts";
import { loadDriver } from "#sidecar/stores/registry.ts";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const MANIFEST = join(ROOT, "package.json");
const STORES = join(ROOT, "sidecar/stores");

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}

/** Node's own error for an import, with this text. */
function notFound(message: string): Error {
  return Object.assign(new Error(message), { code: "ERR_MODULE_NOT_FOUND" });
}

const MISSING = notFound("Cannot find package 'mongodb' imported from /app/chunk-mongodb.js");

describe("optional packages", () => {
  it("are the optional ones of package.json, in the versions that tests run with", () => {
    const manifest: Manifest = JSON.parse(readFileSync(MANIFEST, "utf8"));
    const names = Object.keys(OPTIONAL_PACKAGES);
    assert.deepEqual(Object.keys(manifest.peerDependencies), names);
    for (const [name, version] of Object.entries(OPTIONAL_PACKAGES)) {
      assert.equal(manifest.devDependencies[name], version);
      assert.equal(manifest.peerDependencies[name], `^${version}`);
      assert.deepEqual(manifest.peerDependenciesMeta[name], { optional: true });
    }
    // Everything else is in the bundle, and an installation brings nothing but that.
    assert.equal(manifest.dependencies, undefined);
  });

  it("are named with the command that installs them when one is missing", async () => {
    await assert.rejects(
      loading(() => Promise.reject(MISSING)),
      (error: unknown) => {
        assert.ok(error instanceof PackageMissing);
        assert.equal(error.missing, "mongodb");
        assert.equal(error.command, `npm install mongodb@${OPTIONAL_PACKAGES.mongodb}`);
        assert.match(error.message, /^the package mongodb is not installed: run `npm install mongodb@/);
        assert.equal(error.cause, MISSING);
        return true;
      },
    );
  });

  it("are the only ones of which that is said", async () => {
    const others = [
      notFound("Cannot find package 'bson' imported from /app/node_modules/mongodb/lib/index.js"),
      notFound("Cannot find module '/app/mongodb' imported from /app/pannier.js"),
      new Error("Cannot find package 'mongodb' imported from /app/chunk-mongodb.js"),
    ];
    for (const error of others)
      await assert.rejects(
        loading(() => Promise.reject(error)),
        (thrown) => thrown === error,
      );
  });

  it("make a Component's type a fault that says what to do", async () => {
    const missing = (): Promise<never> => loading(() => Promise.reject(MISSING));
    const chosen = await chooseDriver("state.mongodb", "v1", missing);
    assert.ok("fault" in chosen);
    assert.deepEqual(
      [chosen.fault.severity, chosen.fault.field, chosen.fault.got],
      ["error", "spec.type", "state.mongodb"],
    );
    assert.match(chosen.fault.want, /npm install mongodb@/);
    await assert.rejects(
      chooseDriver("state.mongodb", "v1", () => Promise.reject(new Error("broken"))),
      /broken/,
    );
  });
});

type Asked = readonly (readonly [type: string, fields: Readonly<Record<string, string>>, needed: readonly string[]])[];

const [CREDENTIALS, IDENTITY] = ["@aws-sdk/credential-providers", "@azure/identity"];
const ENTRA = [`${IDENTITY} by useAzureAD`];
const IAM = { useAWSIAM: "true", connectionString: "c" };

/** What settings ask for, also where other fields are wrong or come later. A version stands behind a slash. */
const ASKED: Asked = [
  ["state.aws.dynamodb", { table: "orders" }, []],
  ["state.aws.dynamodb", { table: "orders", assumeRoleArn: "a" }, [`${CREDENTIALS} by assumeRoleArn`]],
  ["state.azure.blobstorage/v2", { containerName: "orders" }, [`${IDENTITY} by accountKey`]],
  ["state.azure.blobstorage/v2", { containerName: "orders", connectionString: "c" }, []],
  ["state.azure.cosmosdb", { url: "u", database: "d", collection: "c" }, [`${IDENTITY} by masterKey`]],
  ["state.azure.tablestorage", { accountName: "orders", tableName: "orders" }, [`${IDENTITY} by accountKey`]],
  ["state.cockroachdb/v1", { ...IAM, useAzureAD: "true" }, []],
  ["state.cockroachdb/v2", { connectionString: "c", useAzureAD: "true" }, ENTRA],
  ["state.gcp.firestore", { project_id: "p" }, ["google-auth-library by endpoint"]],
  ["state.gcp.firestore", { project_id: "p", endpoint: "no endpoint" }, []],
  ["state.mongodb", { host: "h" }, []],
  ["state.mongodb", { host: "h", params: "?a=b&authmechanism=mongodb-aws" }, [`${CREDENTIALS} by params`]],
  ["state.mongodb", { host: "h", params: "authMechanism=MONGODB-AWS&a=b" }, [`${CREDENTIALS} by params`]],
  ["state.mongodb", { host: "h", params: "?authMechanism=MONGODB-X509" }, []],
  [
    "state.mongodb",
    { connectionString: "mongodb://h/?authMechanism=MONGODB-AWS" },
    [`${CREDENTIALS} by connectionString`],
  ],
  ["state.postgresql/v1", IAM, ["@aws-sdk/rds-signer by useAWSIAM"]],
  ["state.postgresql/v2", { connectionString: "c" }, []],
  [
    "state.postgresql/v2",
    { ...IAM, assumeRoleArn: "a" },
    ["@aws-sdk/rds-signer by useAWSIAM", `${CREDENTIALS} by assumeRoleArn`],
  ],
  ["state.redis", { redisHost: "h" }, []],
  ["state.redis", { redisHost: "h", useEntraID: "true" }, [`${IDENTITY} by useEntraID`]],
  ["state.sqlserver/v1", { connectionString: "c", useAzureAD: "true" }, ENTRA],
  ["state.sqlserver/v2", { connectionString: "c", useAzureAD: "true" }, ENTRA],
  ["state.sqlserver/v2", { connectionString: "c" }, []],
  ["state.yugabytedb/v2", { connectionString: "c", useAzureAD: "true" }, ENTRA],
];

describe("packages of some settings", () => {
  for (const [title, fields, needed] of ASKED)
    it(`are ${needed.join(" and ") || "none"} for ${title} with ${JSON.stringify(fields)}`, async () => {
      const [type = "", version = ""] = title.split("/");
      const chosen = await chooseDriver(type, version, loadDriver);
      assert.ok("driver" in chosen);
      const properties = Object.entries(fields).map(([name, value]) => ({ name, value, secret: false }));
      const { packages = [] } = chosen.driver.decode(properties, []);
      assert.deepEqual(
        packages.map(({ name, field }) => `${name} by ${field}`),
        needed,
      );
      // All of them are here.
      assert.deepEqual(await lackingPackages(packages), []);
    });

  it("are told by every driver that has one loaded", () => {
    const loads = /\bloading\(|"\.\.\/(?:azure\/entra-tokens|google\/credentials)\.ts"/;
    const folders = readdirSync(STORES, { withFileTypes: true }).filter(
      (each) => each.isDirectory() && !["azure", "google"].includes(each.name),
    );
    const textOf = (folder: string): string =>
      readdirSync(join(STORES, folder))
        .map((file) => readFileSync(join(STORES, folder, file), "utf8"))
        .join("\n");
    const silent = folders
      .map(({ name }) => ({ name, text: textOf(name) }))
      .filter(({ text }) => loads.test(text) && !/^ {2}packages: /m.test(text));
    assert.deepEqual(
      silent.map(({ name }) => name),
      [],
    );
  });
});
