// One whole Kubernetes node for a test file: real pods on a kubelet and containerd, in a network namespace of its own,
// with the images that the tests need. Taken down with the run, however that ends. Knows no release and no app.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Common, commonOf, temporaryFolder, upIn } from "#test/cluster/bed.ts";
import {
  binariesMissing,
  buildBinaries,
  cacheFolder,
  ensureBinaries,
  NODE_PARTS,
  SCRIPTS,
} from "#test/cluster/binaries.ts";
import { redisMissing } from "#test/servers/redis.ts";
import { isRequired } from "#test/servers/required.ts";
import { makeImages, ROOT } from "./images.ts";

export interface Node extends Pick<Common, "kubectl" | "tryKubectl"> {
  /** Runs a line in a shell at the root of the project, with kubectl and helm for this node. Rejects with what it says. */
  shell(line: string): Promise<string>;
  /** What the containers of every pod on the node have written, by file. */
  logs(): Promise<ReadonlyMap<string, string>>;
}

/** Images, and four minutes of compiling where the cache lacks something, on a slow machine. */
export const NODE_WITHIN_MS: number = 40 * 60_000;
/** Longest wait for what kubelet and controllers do by themselves: a changed ConfigMap takes two minutes to reach a pod. */
const WITHIN_MS = 180_000;
const POLL_MS = 200;

/**
 * Why no node can run here, or null. With `node` among the words of PANNIER_TEST_REQUIRE that is no reason: the start
 * then fails.
 */
function nodeMissing(): string | null {
  if (isRequired("node")) return null;
  const { status, stderr } = spawnSync(join(SCRIPTS, "up-node.sh"), ["--check"], { encoding: "utf8" });
  if (status !== 0) return stderr.trim().replace(/^.*; missing:/, "missing:");
  return binariesMissing() ?? redisMissing();
}

/** A describe for tests on a node; where none can run they are pending, and the reason is in the title and told loudly. */
export function describeOnNode(title: string, body: (this: Mocha.Suite) => void): void {
  const missing = nodeMissing();
  if (missing === null) {
    describe(title, body);
    return;
  }
  process.stderr.write(`!! NOT RUN: ${title}: ${missing}\n`);
  describe.skip(`${title} (not run: ${missing})`, body);
}

/** Compiles what is not in the cache, makes the images and starts the node; one at a time on a machine. */
export async function startNode(): Promise<Node> {
  await ensureBinaries();
  await buildBinaries([...NODE_PARTS, "helm"]);
  const [images, folder] = [temporaryFolder(), temporaryFolder()];
  try {
    await upIn(folder, "up-node.sh", await makeImages(images));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(images, { recursive: true });
  }
  const cluster = commonOf(join(folder, "admin.kubeconfig"), true);
  const { kubectl, tryKubectl, kubeconfig } = cluster;
  return { kubectl, tryKubectl, shell: (line) => shell(line, kubeconfig), logs: () => logsIn(join(folder, "pods")) };
}

async function shell(line: string, kubeconfig: string): Promise<string> {
  const env = { ...process.env, KUBECONFIG: kubeconfig, PATH: `${cacheFolder()}:${process.env.PATH}` };
  const child = spawn("bash", ["-c", line], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error(`${line}\nended with ${status}: ${err}`);
  return out;
}

/** The kubelet's folder: namespace_pod_uid/container/0.log. */
async function logsIn(folder: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  // A pod may go while its log is read.
  const texts = await Promise.all(paths.map((path) => readFile(path, "utf8").catch(() => "")));
  return new Map(paths.map((path, index) => [path, texts[index] ?? ""]));
}

/** Resolves once it holds. What it throws on the way counts as not yet, and is the cause when it never comes. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + WITHIN_MS;
  let last: unknown;
  while (Date.now() < endMs) {
    try {
      if (await holds()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await pause(POLL_MS);
  }
  throw new Error(`not within ${WITHIN_MS} ms: ${what}`, { cause: last });
}
