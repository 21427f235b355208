// Helm as a function: where it is and what it prints. Knows the chart's place and none of its templates.
import { spawn, spawnSync } from "node:child_process";
import { findBinary } from "#test/cluster/binaries.ts";
import { CHART, ROOT } from "./copies.ts";

/** Where the chart's result without Helm is kept, from the root. */
export const MANIFEST = "deploy/pannier.yaml";
const MANIFEST_NAMESPACE = "pannier-system";
/** What its objects are made for; an older cluster takes the chart. */
const MANIFEST_KUBERNETES = "1.30.0";

const MANIFEST_HEAD = `# Pannier without Helm: the chart's objects for its own defaults, in namespace ${MANIFEST_NAMESPACE}, Kubernetes 1.30 or later.
# Made by \`npm run chart\` from charts/pannier. The image is not in a public registry: see docs/kubernetes.md.
apiVersion: v1
kind: Namespace
metadata:
  name: ${MANIFEST_NAMESPACE}
`;

const HELMS_LABEL = /^\s+(app\.kubernetes\.io\/managed-by: Helm|helm\.sh\/chart: )/;

export interface HelmResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The path of a Helm 3, the one of the test bed before the one on PATH, or null. */
export function findHelm(): string | null {
  const built = findBinary("helm");
  if (built !== null) return built;
  const { status, stdout } = spawnSync("helm", ["version", "--short"], { encoding: "utf8" });
  return status === 0 && stdout.startsWith("v3.") ? "helm" : null;
}

/** Runs it to its end; never rejects for a failure of Helm's own. */
export function helm(program: string, args: readonly string[], options: { input?: string } = {}): Promise<HelmResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    const [stdout, stderr] = [[] as Buffer[], [] as Buffer[]];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.once("error", reject);
    child.once("close", (status) => {
      resolve({ status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
    child.stdin.end(options.input ?? "");
  });
}

/** The text of {@link MANIFEST}: what `helm install` would create, without hooks and without Helm's own labels. */
export async function manifest(program: string): Promise<string> {
  const flags = ["--namespace", MANIFEST_NAMESPACE, "--no-hooks", "--kube-version", MANIFEST_KUBERNETES];
  const { status, stdout, stderr } = await helm(program, ["template", "pannier", CHART, ...flags]);
  if (status !== 0) throw new Error(`helm template ${CHART.replace(ROOT, "")}: ${stderr}`);
  const lines = stdout.split("\n").filter((line) => !HELMS_LABEL.test(line));
  // An empty release makes the operator's advice one for kubectl.
  return MANIFEST_HEAD + lines.map((line) => line.replace("--release=pannier", "--release=")).join("\n");
}
