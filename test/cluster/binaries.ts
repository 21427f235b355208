// Which binaries a test bed has, and how it comes by them: given ones, the cache, or a compiler. Starts no server.
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The scripts that do the work; CONTRIBUTING.md says how they are used by hand. */
export const SCRIPTS: string = fileURLToPath(new URL(".", import.meta.url));

/** What the API bed needs compiled. Etcd comes from the machine, else from source too. */
const API_BED = ["kube-apiserver", "kube-controller-manager", "kubectl"] as const;
/** What a whole node needs besides. */
export const NODE_PARTS = ["kube-scheduler", "kubelet", "kube-proxy", "pause", "coredns"] as const;
export type Component = (typeof API_BED)[number] | (typeof NODE_PARTS)[number] | "etcd" | "helm";

/** The oldest Go whose command understands the modules' go lines. */
const GO_MINOR_MIN = 24;

/** The path of a binary that is there already, or null. Only etcd and kubectl may come from PATH. */
export function findBinary(name: Component): string | null {
  const folders = [process.env.KUBEBUILDER_ASSETS, cacheFolder()];
  if (name === "etcd" || name === "kubectl") folders.push(...(process.env.PATH ?? "").split(delimiter));
  const paths = folders.flatMap((folder) => (folder ? [join(folder, name)] : []));
  return paths.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // There is none, or it cannot be run: either way it is not the one.
    return false;
  }
}

/** Where build.sh puts what it compiles. It may not be there yet. */
export function cacheFolder(): string {
  const { PANNIER_CLUSTER_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = PANNIER_CLUSTER_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "pannier", "cluster");
  return join(cache, kubernetesVersion());
}

let version: string | null = null;

/** "v1.34.1": what tools/kubernetes/go.mod says, as the scripts read it. */
export function kubernetesVersion(): string {
  if (version !== null) return version;
  const command = `. "${join(SCRIPTS, "settings.sh")}"; printf %s "$KUBERNETES_VERSION"`;
  const { stdout, stderr, status } = spawnSync("bash", ["-c", command], { encoding: "utf8" });
  if (status !== 0) throw new Error(`test/cluster/settings.sh: ${stderr}`);
  version = stdout;
  return version;
}

/** What an API bed lacks here, by name. Envtest's assets have no controllers; a bed does without them then. */
function missingComponents(): readonly Component[] {
  const wanted = process.env.KUBEBUILDER_ASSETS
    ? API_BED.filter((name) => name !== "kube-controller-manager")
    : [...API_BED];
  return [...wanted, "etcd" as const].filter((name) => findBinary(name) === null);
}

/** Why there can be no API bed here and what to do about it, or null. */
export function binariesMissing(): string | null {
  const missing = missingComponents();
  if (missing.length === 0 || hasGo()) return null;
  return `${missing.join(", ")} not found and no Go 1.${GO_MINOR_MIN} to compile them: set KUBEBUILDER_ASSETS or PANNIER_TEST_KUBECONFIG, or install Go`;
}

function hasGo(): boolean {
  const { stdout } = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  const minor = /^go1\.(\d+)/.exec(stdout ?? "")?.[1];
  return minor !== undefined && Number(minor) >= GO_MINOR_MIN;
}

/** Compiles what is missing, which takes minutes once; a second process that wants the same waits for the first. */
export async function ensureBinaries(): Promise<void> {
  const missing = missingComponents();
  if (missing.length > 0) await buildBinaries(missing);
}

/** Runs build.sh, which says on standard error what it does. Components that are there cost nothing. */
export function buildBinaries(components: readonly Component[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(SCRIPTS, "build.sh"), components, { stdio: ["ignore", "ignore", "inherit"] });
    child.once("error", reject);
    child.once("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`test/cluster/build.sh ${components.join(" ")} ended with ${code}`));
    });
  });
}
