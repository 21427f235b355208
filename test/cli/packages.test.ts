// The published bundle, in a folder where no client library of the stores can be found: what it says of a Component that
// needs one, and that it serves all others.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { OPTIONAL_PACKAGES } from "#sidecar/stores/packages.ts";
import { component } from "#test/wire/sidecar.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUILD_WITHIN_MS = 60_000;

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

  async function check(manifest: string): Promise<string> {
    const path = join(folder, "store.yaml");
    await writeFile(path, manifest);
    const { stdout } = await run(process.execPath, [program, "check", path]).catch(
      (error: { stdout: string }) => error,
    );
    return stdout;
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

  it("has none of the optional packages inside", async () => {
    const listed: readonly string[] = JSON.parse(await readFile(join(folder, "dist/packages.json"), "utf8"));
    const inside = Object.keys(OPTIONAL_PACKAGES).filter((name) => listed.includes(`node_modules/${name}`));
    assert.deepEqual(inside, []);
    assert.ok((await readdir(join(folder, "dist"))).length > 10);
  });
});
