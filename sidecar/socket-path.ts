// Where the unix sockets of a sidecar are, and how a file that a dead one has left there is told from one in use.
import type { Stats } from "node:fs";
import { lstat, stat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { dirname, resolve } from "node:path";

/** Linux keeps 108 bytes for a path with its end mark, the systems of BSD's kind 104. */
const PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103;

export type SocketProtocol = "http" | "grpc";

/** `<folder>/dapr-<app id>-http.socket`, absolute, as daprd names it (dapr-state-api.md 8.4). */
export function socketPath(folder: string, appId: string, protocol: SocketProtocol): string {
  return resolve(folder, `dapr-${appId}-${protocol}.socket`);
}

/** Why no socket can have this path, or null. */
export function wrongSocketPath(path: string): string | null {
  const bytes = Buffer.byteLength(path);
  if (bytes <= PATH_BYTES_MAX) return null;
  return `the path has ${bytes} bytes, this system takes at most ${PATH_BYTES_MAX}; give a shorter --unix-domain-socket`;
}

/**
 * Removes a socket on which nobody listens. Leaves everything else, for the bind to fail on. Throws ENOENT for a folder
 * that is not there, which the bind would call EACCES.
 */
export async function clearSocketPath(path: string): Promise<void> {
  await stat(dirname(path));
  const found = await look(path);
  if (found === null || !found.isSocket() || (await isListenedOn(path))) return;
  // Another sidecar may have come to the same end meanwhile, and listen there now.
  const now = await look(path);
  if (now?.ino === found.ino) await unlink(path);
}

async function look(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/** Whether somebody does, or may: only a refused connection proves that nobody does. */
function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", (error) => resolve(!("code" in error) || error.code !== "ECONNREFUSED"));
  });
}
