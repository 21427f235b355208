// The upper layer of the image: the bundle that `npm run build` has made, and the licences of what is bundled.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Entry, FILE_MODE, file, PROGRAM_MODE } from "./entry.ts";

/** The bundle's entries, which are started by name. */
const PROGRAMS = new Set(["pannier.js", "operator.js"]);
const LICENCE_NAME = /^(licen[cs]e|copying|notice)/i;

/** `root`: folder of the project, with node_modules/; `dist`: where the bundle is. */
export async function applicationLayer(root: string, dist: string): Promise<readonly Entry[]> {
  const names = await readdir(dist);
  // Maps are as big as all the rest, and Node reads them only when asked to.
  const wanted = names.filter((name) => !name.endsWith(".map"));
  const bundle = await Promise.all(
    wanted.map(async (name) =>
      file(`app/${name}`, await readFile(join(dist, name)), PROGRAMS.has(name) ? PROGRAM_MODE : FILE_MODE),
    ),
  );
  return [
    ...bundle,
    // Node takes the .js files for ES modules by it.
    file("app/package.json", '{"type":"module"}\n'),
    file("licenses/pannier", await readFile(join(root, "LICENSE"))),
    ...(await packageLicences(root)),
  ];
}

/** Of every package that package-lock.json installs for production: those in the bundle are among them. */
async function packageLicences(root: string): Promise<readonly Entry[]> {
  const lock: { packages: Readonly<Record<string, { dev?: boolean }>> } = JSON.parse(
    await readFile(join(root, "package-lock.json"), "utf8"),
  );
  const folders = Object.entries(lock.packages).filter(([path, { dev }]) => path !== "" && dev !== true);
  const found = folders.map(async ([path]) => {
    const names = (await readdir(join(root, path))).filter((name) => LICENCE_NAME.test(name));
    return Promise.all(
      names.map(async (name) =>
        file(`licenses/npm/${path.replaceAll("node_modules/", "")}/${name}`, await readFile(join(root, path, name))),
      ),
    );
  });
  return (await Promise.all(found)).flat();
}
