// A whole operator in this process against the bed, as its main file starts it, and sidecars that find it there.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TOKEN_FILE, TRUST_ANCHORS_FILE } from "#crds/distribution.ts";
import { never, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { type OperatorFlags, readOperatorFlags } from "#operator/flags.ts";
import { type Operator, startOperator } from "#operator/operator.ts";
import type { SidecarSettings } from "#sidecar/settings.ts";
import type { Bed } from "#test/cluster/bed.ts";
import { startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import type { SidecarPods } from "./sidecar-pods.ts";

export interface Replica {
  readonly operator: Operator;
  /** Lines logged so far. */
  readonly lines: readonly string[];
}

export interface ReplicaOptions {
  readonly kubeconfig: string;
  /** The operator's own. */
  readonly namespace: string;
  readonly podName: string;
  /** Of the operator's own token, for the other replicas. */
  readonly tokenFile: string;
  readonly flags?: readonly string[];
  /** Ends a start that waits for something. */
  readonly stopping?: AbortSignal;
}

/** Free ports, no pause before it ends, a certificate that is good for localhost too. */
export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { kubeconfig, namespace, podName, tokenFile, flags = [], stopping = never } = options;
  const lines: string[] = [];
  const log = createLog({
    level: "debug",
    json: true,
    appId: "pannier-operator",
    instance: podName,
    version: "0",
    write: (line) => lines.push(line),
    nowMs: systemClock.nowMs,
  });
  const own = [
    `--namespace=${namespace}`,
    `--pod-name=${podName}`,
    `--kubeconfig=${kubeconfig}`,
    `--identity-token-file=${tokenFile}`,
    "--sidecar-image=pannier:test",
    "--certificate-names=localhost",
    "--drain-timeout=0s",
  ];
  const ports = ["webhook", "api", "metrics", "health"].map((name) => `--${name}-port=0`);
  const parsed = readFlags([...own, ...ports, ...flags]);
  return {
    operator: await startOperator(parsed, { clock: systemClock, random: systemRandom, log, stopping }),
    lines,
  };
}

function readFlags(argv: readonly string[]): Readonly<OperatorFlags> {
  const request = readOperatorFlags(argv, {}, "host");
  if (request.asks !== "serve") throw new Error(JSON.stringify(request));
  return request.flags;
}

export interface PodSidecar {
  readonly wire: WireSidecar;
  stop(): Promise<void>;
}

export interface SidecarOptions {
  readonly pod: string;
  readonly appId: string;
  readonly port: number;
  readonly more?: Partial<SidecarSettings>;
}

/** The sidecar that would run in this pod: its token, the trust anchors of its namespace. */
export async function startSidecarOf(
  bed: Bed,
  pods: SidecarPods,
  { pod, appId, port, more = {} }: SidecarOptions,
): Promise<PodSidecar> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-identity-"));
  await writeFile(join(folder, TOKEN_FILE), await pods.token(pod));
  const query = ["get", "configmap", "pannier-trust-bundle", "-o", "jsonpath={.data.ca\\.crt}"];
  await writeFile(join(folder, TRUST_ANCHORS_FILE), await bed.kubectl(["-n", pods.namespace, ...query]));
  const operator = { host: "localhost", port, identityFolder: folder, trustAnchors: "", configuration: null };
  const settings = { appId, namespace: pods.namespace, podName: pod, operator, resourcesPaths: [], ...more };
  const wire = await startWire({ manifests: {}, settings });
  return {
    wire,
    stop: async () => {
      await wire.stop();
      await rm(folder, { recursive: true });
    },
  };
}
