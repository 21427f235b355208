// Finds the Unix socket on which a pluggable component listens: Dapr's folder, in which a file is named after the
// component's type, `foo.sock` for `state.foo`. Opens none.
import { readdir, stat } from "node:fs/promises";
import { join, parse } from "node:path";
import { type Clock, sleep } from "#kit/clock.ts";

/** How often the folder is looked at while a component has not come yet. */
const LOOK_EVERY_MS = 100;

/** Whether components can be looked for at all. */
export async function hasFolder(folder: string): Promise<boolean> {
  return (await statOrNull(folder))?.isDirectory() ?? false;
}

/** The path of a component's socket, or null while there is none. `name` in lower case: "foo" of `state.foo`. */
export async function findSocket(folder: string, name: string): Promise<string | null> {
  for (const file of (await namesIn(folder)).sort()) {
    // As Dapr does: what stands behind the last dot is dropped, and case does not matter.
    if (parse(file).name.toLowerCase() !== name) continue;
    const path = join(folder, file);
    if ((await statOrNull(path))?.isSocket() === true) return path;
  }
  return null;
}

/** The same, waiting until the socket is there. Gives null when `signal` aborts first. */
export async function untilSocket(
  folder: string,
  name: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<string | null> {
  for (;;) {
    const path = await findSocket(folder, name);
    if (path !== null || signal.aborted) return path;
    await sleep(clock, LOOK_EVERY_MS, signal);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function statOrNull(path: string): Promise<Awaited<ReturnType<typeof stat>> | null> {
  try {
    return await stat(path);
  } catch (error) {
    // A socket goes with its component.
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
