// A folder that looks like a clean clone: the examples without anything that was installed into them, all else linked.
import { cp, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ROOT } from "#test/docs/pages.ts";

/** What installing and building leave in an example's folder: examples/.gitignore has the same names. */
export const NOT_CLONED: readonly string[] = ["node_modules", ".venv", "target", "__pycache__", "bin", "obj"];
/** The folders in which a run of the command line keeps its state, and git its own. */
const NOT_LINKED: readonly string[] = ["examples", ".git", ".pannier"];

/** Gives the folder's path. Whoever makes one removes it. */
export async function makeClone(): Promise<string> {
  const clone = await mkdtemp(join(tmpdir(), "pannier-sdks-"));
  const filter = (path: string): boolean => !NOT_CLONED.includes(basename(path));
  await cp(join(ROOT, "examples"), join(clone, "examples"), { recursive: true, filter });
  for (const name of await readdir(ROOT))
    if (!NOT_LINKED.includes(name)) await symlink(join(ROOT, name), join(clone, name));
  return clone;
}

export async function removeClone(clone: string): Promise<void> {
  await rm(clone, { recursive: true });
}
