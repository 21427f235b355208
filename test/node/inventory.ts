// Everything that is in a cluster: for what is left of an installation, and for where a secret has got to.
import type { Node } from "./node.ts";

interface KubeItem {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string; readonly name: string };
}

/** Every object of every kind that can be listed. An Event is under the name of events.k8s.io alone. */
export async function everything(node: Node): Promise<readonly KubeItem[]> {
  const kinds = (await node.kubectl(["api-resources", "--verbs=list", "-o", "name"])).trim().split("\n");
  const wanted = kinds.filter((kind) => kind !== "events");
  return JSON.parse(await node.kubectl(["get", wanted.join(","), "--all-namespaces", "-o", "json"])).items;
}

/** Where the kubelet renews its Lease: it comes some seconds after the node does. */
const KUBELETS = "kube-node-lease";

/** "Kind namespace/name" of each, without Events, which go by themselves. */
export async function names(node: Node): Promise<ReadonlySet<string>> {
  const items = (await everything(node)).filter(
    ({ kind, metadata }) => kind !== "Event" && metadata.namespace !== KUBELETS,
  );
  return new Set(items.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`));
}
