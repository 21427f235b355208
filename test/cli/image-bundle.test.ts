// The bundle that the image has, with every client library inside: that the libraries which are imported on demand are what
// they are under Node. What starts and serves from it is image.test.ts's and the cluster's.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { freePort } from "#test/servers/free-port.ts";
import { TdsServer } from "#test/servers/tds/tds-server.ts";
import { columnsAnswer, connectionTo, METADATA, V1 } from "#test/unit/sidecar/stores/sqlserver/fixture.ts";
import { component } from "#test/wire/sidecar.ts";
import { Bench } from "./pannier.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUILD_WITHIN_MS = 240_000;

/** Where sidecar/stores/packages.ts has gone: the packages of settings, and the chunk of each. */
const LOADERS = /"([@a-z/-]+)": \(\) => import\("\.\/([^"]+)"\)/g;
/** All that esbuild by itself gives of a CommonJS module that is imported on demand. */
const NAMELESS = /^export default require_\w+\(\);$/m;

/** The names that a module gives, in a process of its own. */
async function namesOf(specifier: string): Promise<readonly string[]> {
  const script = `process.stdout.write(JSON.stringify(Object.keys(await import(${JSON.stringify(specifier)}))))`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script], { cwd: ROOT });
  // Node's own addition for CommonJS, which nobody asks for.
  return (JSON.parse(stdout) as readonly string[]).filter((name) => name !== "module.exports").sort();
}

describe("the bundle of the image", function () {
  this.timeout(BUILD_WITHIN_MS);
  let folder: string;
  let dist: string;
  let texts: ReadonlyMap<string, string>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-whole-"));
    dist = join(folder, "dist");
    await run(process.execPath, ["build.ts", "--whole", dist], { cwd: ROOT });
    await writeFile(join(folder, "package.json"), '{"type":"module"}');
    const names = (await readdir(dist)).filter((name) => name.endsWith(".js"));
    texts = new Map(
      await Promise.all(names.map(async (name) => [name, await readFile(join(dist, name), "utf8")] as const)),
    );
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("has no library on demand whose names are lost", () => {
    const nameless = [...texts].filter(([, text]) => NAMELESS.test(text)).map(([name]) => name);
    assert.deepEqual(nameless, []);
  });

  it("gives of each package that settings ask for the names that Node gives", async () => {
    const chunks = [...texts.values()].flatMap((text) => [...text.matchAll(LOADERS)]);
    const packages = chunks.filter(([, name = ""]) => !name.startsWith("state."));
    assert.equal(packages.length, 4);
    for (const [, name = "", chunk = ""] of packages)
      assert.deepEqual(await namesOf(pathToFileURL(join(dist, chunk)).href), await namesOf(name), name);
  });

  it("opens a store whose client is imported on demand", async () => {
    const bench = new Bench();
    const server = await TdsServer.start({
      answer: (request) => columnsAnswer(request, { state: V1, dapr_metadata: METADATA }),
    });
    try {
      const fields = { connectionString: connectionTo(server.port) };
      await writeFile(join(folder, "store.yaml"), component("statestore", "state.sqlserver", fields));
      const ports = [`--dapr-http-port=${await freePort()}`, `--dapr-grpc-port=${await freePort()}`];
      const own = ["sidecar", "--app-id=orders", "--enable-metrics=false", "--resources-path", folder];
      await bench
        .start([...own, ...ports], { cwd: folder, program: join(dist, "pannier.js") })
        .says(/Component loaded: statestore/);
    } finally {
      await bench.clear();
      await server.stop();
    }
  });
});
