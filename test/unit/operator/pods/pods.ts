// Pods as the tests of this folder need them.
import type { KubeObject } from "#operator/kube/object.ts";
import { ObjectCache } from "#operator/kube/object-cache.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";
import { silentLog } from "../components/silent-log.ts";

export interface PodShape {
  readonly namespace?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly version?: string;
}

export const ENABLED = { "dapr.io/enabled": "true" };

export function podOf(name: string, shape: PodShape = {}): KubeObject {
  const { namespace = "shop", uid = `uid-${name}`, labels = {}, annotations = ENABLED, version = "1" } = shape;
  const creationTimestamp = "1970-01-01T00:00:00Z";
  return { metadata: { name, namespace, uid, resourceVersion: version, creationTimestamp, labels, annotations } };
}

export function podCache(): ObjectCache<KubeObject> {
  return new ObjectCache({ resource: "pods", parts: [""], log: silentLog, metrics: noOperatorMetrics });
}
