// Bundles both processes to one JavaScript file each in dist/, with what they load on demand (verbs, drivers, metrics) as
// chunks beside them, and the SQLite thread as a file of its own. The published package and the image hold only this.
// `node build.ts FOLDER` writes, and first empties, another folder than dist/. Client libraries that the published package
// does not bring stay outside; with `--whole` they are bundled too, for the image.
import { chmod, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build, type Metafile, type Plugin } from "esbuild";
import { OPTIONAL_PACKAGES } from "./sidecar/stores/packages.ts";
import { hasStandIn, STAND_IN } from "./sidecar/stores/sqlserver/stand-ins.ts";

const { positionals, values } = parseArgs({ options: { whole: { type: "boolean" } }, allowPositionals: true });
const [OUT = "dist"] = positionals;
const outside = values.whole === true ? [] : Object.keys(OPTIONAL_PACKAGES).flatMap((name) => [name, `${name}/*`]);

/** As the driver's own hook where tedious is outside: the image's sidecars load no package for nothing. */
const standIns: Plugin = {
  name: "stand-ins",
  setup: ({ onResolve }) =>
    onResolve({ filter: /^@azure\// }, ({ path, importer }) =>
      hasStandIn(path, importer) ? { path: STAND_IN, external: true } : null,
    ),
};

/** Of the modules that the build itself writes. */
const namespace = "on-demand";

/**
 * A CommonJS library that is imported on demand gives its names, as under Node: esbuild gives `default` alone, so the import
 * meets a module that spells them out. Which they are is asked of Node.
 */
const namesOnDemand: Plugin = {
  name: "names-on-demand",
  setup: ({ onResolve, onLoad, resolve }) => {
    onResolve({ filter: /^[^.]/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (kind !== "dynamic-import" || pluginData === namespace) return null;
      const found = await resolve(path, { kind, importer, resolveDir, pluginData: namespace });
      const isBundled = found.errors.length === 0 && !found.external;
      return isBundled && (await isCommonJs(found.path)) ? { path: found.path, namespace } : null;
    });
    onLoad({ filter: /./, namespace }, async ({ path }) => {
      const names = Object.keys(await import(pathToFileURL(path).href)).filter((name) => name !== "module.exports");
      return { contents: `export { ${names.join(", ")} } from ${JSON.stringify(path)};`, resolveDir: dirname(path) };
    });
  },
};

/** As esbuild sees it. */
async function isCommonJs(path: string): Promise<boolean> {
  const alone = await build({ entryPoints: [path], bundle: true, external: ["*"], write: false, metafile: true });
  return Object.values(alone.metafile.inputs).every(({ format }) => format === "cjs");
}

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
  plugins: [standIns, namesOnDemand],
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
  const files = Object.keys(inputs).filter((path) => !path.startsWith(`${namespace}:`));
  const folders = files.map((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort();
}
