// Finds the Unix socket on which a pluggable component listens: Dapr's folder, in which a file is named after the
// component's type, `foo.sock` for `state.foo`. Opens none.
import type { BigIntStats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, parse } from "node:path";
import { type Clock, sleep } from "#kit/clock.ts";
import { StoreError } from "../store.ts";

/** How often the folder is looked at while a component has not come yet. */
const LOOK_EVERY_MS = 100;

/** Whether components can be looked for at all. */
export async function hasFolder(folder: string): Promise<boolean> {
  return (await statOrNull(folder))?.isDirectory() ?? false;
}

export interface Socket {
  readonly path: string;
  /** Another one as soon as something else listens: to listen on a path again, a program has to make the file anew. */
  readonly identity: string;
}

/**
 * A component's socket, or null while there is none. `name` in lower case: "foo" of `state.foo`. Rejects with a StoreError
 * where the folder cannot be read.
 */
export async function findSocket(folder: string, name: string): Promise<Socket | null> {
  try {
    for (const file of (await namesIn(folder)).sort()) {
      // As Dapr does: what stands behind the last dot is dropped, and case does not matter.
      if (parse(file).name.toLowerCase() !== name) continue;
      const path = join(folder, file);
      const stats = await statOrNull(path);
      if (stats?.isSocket() !== true) continue;
      // Numbers of files are used again, and not every file system tells when a file was made.
      return { path, identity: `${stats.dev}:${stats.ino}:${stats.birthtimeNs}` };
    }
    return null;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? `${error.code}` : "for no reason that is known";
    throw new StoreError("unavailable", `cannot look for the socket ${name}.* in ${folder}: ${code}; see its rights`);
  }
}

/** The same, waiting until the socket is there. Gives null when `signal` aborts first. */
export async function untilSocket(
  folder: string,
  name: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Socket | null> {
  for (;;) {
    const socket = await findSocket(folder, name);
    if (socket !== null || signal.aborted) return socket;
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

async function statOrNull(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    // A socket goes with its component.
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
