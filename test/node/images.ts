// The images of the tests on a node, as archives: Pannier's own by the same commands as for everybody, and this machine's
// Redis under the name that examples/kubernetes asks for, so that the example is tried as it stands.
import { execFile } from "node:child_process";
import { readFile, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { file, PROGRAM_MODE } from "#image/entry.ts";
import { ociArchive } from "#image/oci.ts";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** Takes a folder of the caller's; gives the archives in it. */
export async function makeImages(folder: string): Promise<readonly string[]> {
  const bundle = join(folder, "dist");
  const archives = { pannier: join(folder, "pannier.tar"), redis: join(folder, "redis.tar") };
  // Not into dist/, which is the developer's.
  await run(process.execPath, ["build.ts", "--whole", bundle], { cwd: ROOT });
  await run(process.execPath, ["image/main.ts", "--bundle", bundle, "--output", archives.pannier], { cwd: ROOT });
  await writeFile(archives.redis, await redisImage());
  return Object.values(archives);
}

async function redisImage(): Promise<Buffer> {
  const { PANNIER_TEST_REDIS_SERVER = "redis-server" } = process.env;
  const program = (await run("bash", ["-c", 'command -v "$0"', PANNIER_TEST_REDIS_SERVER])).stdout.trim();
  const libraries = [...(await run("ldd", [program])).stdout.matchAll(/\/\S+/g)].map(([path]) => path);
  const copies = libraries.map(async (path) => file(path.slice(1), await readFile(await realpath(path)), PROGRAM_MODE));
  const server = file("usr/bin/redis-server", await readFile(await realpath(program)), PROGRAM_MODE);
  return ociArchive({
    layers: [[server, ...(await Promise.all(copies))]],
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    config: {
      User: "65532:65532",
      WorkingDir: "/",
      Env: ["PATH=/usr/bin"],
      // The official image has no protected mode either.
      Entrypoint: ["/usr/bin/redis-server", "--protected-mode", "no"],
      Labels: {},
    },
    reference: "docker.io/library/redis:7-alpine",
  });
}
