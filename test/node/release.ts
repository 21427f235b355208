// A release of the chart on the node, by Helm and the commands of docs/kubernetes.md, and what its operator shows of itself.
import { type Node, until } from "./node.ts";

export const OWN = "pannier-system";
const HELM_WITHIN = "180s";
const FLAGS = `--namespace ${OWN} --wait --timeout ${HELM_WITHIN}`;

/** Without a value: the image is on the node under the chart's own name for it. */
export function install(node: Node): Promise<string> {
  return node.shell(`helm install pannier charts/pannier --create-namespace ${FLAGS}`);
}

export function upgrade(node: Node, set: string): Promise<string> {
  return node.shell(`helm upgrade pannier charts/pannier --reset-then-reuse-values --set '${set}' ${FLAGS}`);
}

export function rollback(node: Node): Promise<string> {
  return node.shell(`helm rollback pannier ${FLAGS}`);
}

export function uninstall(node: Node): Promise<string> {
  return node.shell(`helm uninstall pannier ${FLAGS}`);
}

/** Resolves once that many replicas are ready and no other is left. */
export async function scale(node: Node, replicas: number): Promise<void> {
  await node.kubectl(["-n", OWN, "scale", "deployment/pannier-operator", `--replicas=${replicas}`]);
  await untilReplicas(node, replicas);
}

export async function untilReplicas(node: Node, wanted: number): Promise<void> {
  await until(`${wanted} replicas of the operator are ready`, async () => {
    const all = await replicas(node);
    return all.length === wanted && all.every(({ isReady }) => isReady);
  });
}

export interface Replica {
  readonly name: string;
  readonly address: string;
  readonly isReady: boolean;
}

export async function replicas(node: Node): Promise<readonly Replica[]> {
  const args = ["-n", OWN, "get", "pods", "-l", "app.kubernetes.io/component=operator", "-o", "json"];
  const { items }: { items: readonly ReplicaPod[] } = JSON.parse(await node.kubectl(args));
  return items.map(({ metadata, status }) => ({
    name: metadata.name,
    address: status.podIP ?? "",
    isReady:
      metadata.deletionTimestamp === undefined &&
      (status.conditions ?? []).some((each) => each.type === "Ready" && each.status === "True"),
  }));
}

interface ReplicaPod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** The pod that leads, by the Lease. */
export async function leader(node: Node): Promise<string> {
  const query = ["-n", OWN, "get", "lease", "pannier-operator", "-o", "jsonpath={.spec.holderIdentity}"];
  return (await node.kubectl(query)).split("_")[0] ?? "";
}

/** The CAs by which the API server knows the webhook, as PEM. */
export async function caBundle(node: Node): Promise<string> {
  const path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
  const encoded = await node.kubectl(["get", "mutatingwebhookconfiguration", `pannier-${OWN}`, "-o", path]);
  return Buffer.from(encoded, "base64").toString();
}

export function certificatesIn(pem: string): number {
  return pem.split("BEGIN CERTIFICATE").length - 1;
}
