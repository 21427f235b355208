// Bundles both processes to one JavaScript file each in dist/, with what they load on demand (verbs, drivers, metrics) as
// chunks beside them, and the SQLite thread as a file of its own. The published package and the image hold only this.
// `node build.ts FOLDER` writes, and first empties, another folder than dist/.
import { chmod, rm } from "node:fs/promises";
import { build } from "esbuild";

const OUT = process.argv[2] ?? "dist";

await rm(OUT, { recursive: true, force: true });
await build({
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
  external: ["@grpc/proto-loader"],
  logLevel: "info",
  // Bundled CommonJS packages ask for Node's own modules through `require`, which an ES module lacks.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
});
await chmod(`${OUT}/pannier.js`, 0o755);
