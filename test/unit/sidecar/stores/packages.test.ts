import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chooseDriver } from "#sidecar/components/component-type.ts";
import { loading, OPTIONAL_PACKAGES, PackageMissing } from "#sidecar/stores/packages.ts";

const MANIFEST = fileURLToPath(new URL("../../../../package.json", import.meta.url));

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
