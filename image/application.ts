// The upper layer of the image: the bundle that `node build.ts --whole` has made, and the licences of what is bundled.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Entry, FILE_MODE, file, PROGRAM_MODE } from "./entry.ts";

/** The bundle's entries, which are started by name. */
const PROGRAMS = new Set(["pannier.js", "operator.js"]);
const PACKAGE_LIST = "packages.json";
const LICENCE_NAME = /^(licen[cs]e|copying|notice)/i;

/** `root`: folder of the project, with node_modules/; `dist`: where the bundle is. */
export async function applicationLayer(root: string, dist: string): Promise<readonly Entry[]> {
  const names = await readdir(dist);
  // Maps are as big as all the rest, and Node reads them only when asked to.
  const wanted = names.filter((name) => !name.endsWith(".map") && name !== PACKAGE_LIST);
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
    ...(await packageLicences(root, dist)),
  ];
}

/** Of every package of which something is in the bundle, by the list that the bundler has written beside it. */
async function packageLicences(root: string, dist: string): Promise<readonly Entry[]> {
  const folders: readonly string[] = JSON.parse(await readFile(join(dist, PACKAGE_LIST), "utf8"));
  const found = folders.map(async (path) => {
    const names = (await readdir(join(root, path))).filter((name) => LICENCE_NAME.test(name));
    return Promise.all(
      names.map(async (name) =>
        file(`licenses/npm/${path.replaceAll("node_modules/", "")}/${name}`, await readFile(join(root, path, name))),
      ),
    );
  });
  return (await Promise.all(found)).flat();
}
