// Bundles both processes to one JavaScript file each in dist/, with what they load on demand (verbs, drivers, metrics) as
// chunks beside them, and the SQLite thread as a file of its own. The published package and the image hold only this.
// `node build.ts FOLDER` writes, and first empties, another folder than dist/. Client libraries that the published package
// does not bring stay outside; with `--whole` they are bundled too, for the image.
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build, type Metafile } from "esbuild";
import { OPTIONAL_PACKAGES } from "./sidecar/stores/packages.ts";

const { positionals, values } = parseArgs({ options: { whole: { type: "boolean" } }, allowPositionals: true });
const [OUT = "dist"] = positionals;
const outside = values.whole === true ? [] : Object.keys(OPTIONAL_PACKAGES).flatMap((name) => [name, `${name}/*`]);

await rm(OUT, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: {
    pannier: "cli/main.ts",
    operator: "operator/main.ts",
    // sidecar/stores/sqlite/thread.ts looks for this name beside its own chunk.
    "sqlite-worker": "sidecar/stores/sqlite/worker.ts",
  },
  outdir: OUT,
  // All chunks lie flat beside the entries: a module finds its thread by its own URL.
  chunkNames: "chunk-[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  minifySyntax: true,
  sourcemap: true,
  legalComments: "linked",
  // For the gRPC library's own inspection services, which are off: it asks for it only when they are used.
  external: ["@grpc/proto-loader", ...outside],
  metafile: true,
  logLevel: "info",
  // Bundled CommonJS packages ask for Node's own modules through `require`, which an ES module lacks.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
});
await chmod(`${OUT}/pannier.js`, 0o755);
await writeFile(join(OUT, "packages.json"), `${JSON.stringify(packagesOf(metafile), null, 2)}\n`);

/** The folders in node_modules/ of which something is in the bundle, sorted: their licences go with it. */
function packagesOf({ inputs }: Metafile): readonly string[] {
  const folders = Object.keys(inputs).map((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort();
}
