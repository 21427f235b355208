// `npm run image -- --output FILE`: the image of this machine's architecture as an OCI archive, without a Docker daemon.
// `--folder FOLDER` writes its root file system instead, for the Dockerfile. Wants the bundle of `node build.ts --whole`, in dist/
// or where `--bundle FOLDER` says.
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { VERSION } from "#kit/version.ts";
import { applicationLayer } from "./application.ts";
import { CONFIG, REFERENCE } from "./config.ts";
import { complete, type Entry } from "./entry.ts";
import { ociArchive } from "./oci.ts";
import { runtimeLayer } from "./runtime.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const USAGE = "usage: npm run image -- --output FILE | --folder FOLDER\n";

/** Node's names for what images call otherwise. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

async function main(): Promise<number> {
  const { output, folder, bundle = join(ROOT, "dist") } = readFlags() ?? {};
  if ((output === undefined) === (folder === undefined)) {
    process.stderr.write(USAGE);
    return 2;
  }
  const architecture = ARCHITECTURES[process.arch];
  if (process.platform !== "linux" || architecture === undefined)
    throw new Error(`got ${process.platform} on ${process.arch}, want Linux on x64 or arm64; see the Dockerfile`);
  const layers = [await runtimeLayer(process.execPath), await applicationLayer(ROOT, bundle)];
  if (folder !== undefined) await writeFolder(folder, layers.flat());
  if (output !== undefined) {
    await mkdir(dirname(output), { recursive: true });
    await writeFile(output, ociArchive({ layers, architecture, config: CONFIG, reference: REFERENCE }));
  }
  process.stdout.write(`pannier:${VERSION} (${architecture}): ${output ?? folder}\n`);
  return 0;
}

/** Undefined for a command line that cannot be read. */
function readFlags(): { readonly [name in "output" | "folder" | "bundle"]?: string } | undefined {
  const text = { type: "string" } as const;
  try {
    return parseArgs({ options: { output: text, folder: text, bundle: text } }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}

async function writeFolder(folder: string, entries: readonly Entry[]): Promise<void> {
  for (const entry of complete(entries)) {
    const path = join(folder, entry.path);
    if (entry.kind === "folder") await mkdir(path, { recursive: true });
    else await writeFile(path, entry.bytes);
    // Not by the mode of the calls above, which the umask narrows.
    await chmod(path, entry.mode);
  }
}

process.exitCode = await main();
