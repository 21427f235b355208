// Who a sidecar is: read from its live pod, never from what it says. Knows no token and no connection.
import { PREFIXES } from "#crds/annotations.ts";
import type { ObjectMeta } from "../kube/object.ts";

export interface Sidecar {
  readonly namespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly appId: string;
  /** The Configuration that the pod names; "" when it names none. */
  readonly configuration: string;
}

/** The injector sets it, Dapr's as ours (dapr-kubernetes.md 2.4). */
const APP_ID_LABEL = "dapr.io/app-id";

/**
 * Reads app id and Configuration: the annotations under either prefix, for the app id then the injector's label, then
 * the pod's name (dapr-kubernetes.md 2.3). Gives a problem, as the end of a sentence, when the prefixes disagree.
 */
export function sidecarOf(metadata: ObjectMeta): Sidecar | { readonly problem: string } {
  const appId = annotation(metadata, "app-id");
  const configuration = annotation(metadata, "config");
  if (appId === null || configuration === null) {
    const name = appId === null ? "app-id" : "config";
    return { problem: `its annotations ${PREFIXES.map((prefix) => prefix + name).join(" and ")} differ; keep one` };
  }
  return {
    namespace: metadata.namespace ?? "",
    podName: metadata.name,
    podUid: metadata.uid,
    appId: appId || metadata.labels?.[APP_ID_LABEL] || metadata.name,
    configuration,
  };
}

/** Whether two readings of one pod give the same rights. */
export function isSameSidecar(left: Sidecar, right: Sidecar): boolean {
  return left.podUid === right.podUid && left.appId === right.appId && left.configuration === right.configuration;
}

/** "" when it is not there; null when the two prefixes say different things. */
function annotation({ annotations }: ObjectMeta, name: string): string | null {
  const given = new Set(PREFIXES.map((prefix) => annotations?.[prefix + name] ?? "").filter((value) => value !== ""));
  if (given.size > 1) return null;
  const [value = ""] = given;
  return value;
}
