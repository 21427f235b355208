// Why a pod was injected, left alone or refused: closed lists with a sentence each, for the admission's answer, the
// Event, the log and the metric's label.

export const INJECTED = {
  "native-sidecar": "the sidecar is an init container and runs as long as the pod",
  "classic-container": "the sidecar runs beside the app's containers",
  "already-injected": "the sidecar was there; what came after it knows of it now",
} as const;

export const SKIPPED = {
  "not-enabled": 'neither dapr.io/enabled nor pannier.io/enabled is "true"',
  "mirror-pod": "a mirror pod shows what a kubelet runs already, and cannot be changed",
  "namespace-excluded": "the injector leaves this namespace alone",
  "other-injector": "a container named daprd is there that another injector put in",
} as const;

export const DENIED = {
  "no-pod": "this cannot be read as a pod",
  "wrong-annotation": "an annotation cannot be followed",
  "no-app-id": "the pod has no app id",
  "port-clash": "two listen on one port",
  "name-taken": "the pod has a volume under a name of the injector",
  "component-container": "the container of a pluggable component cannot be put in",
  "no-linux": "the sidecar runs on Linux only",
  "too-old": "the cluster has no native sidecars",
  "too-many": "the pod has more containers than the injector looks at",
} as const;

export type InjectReason = keyof typeof INJECTED;
export type SkipReason = keyof typeof SKIPPED;
export type DenyReason = keyof typeof DENIED;

/** Thrown by no one: a denial on its way to the decision. */
export interface Denial {
  readonly reason: DenyReason;
  /** What exactly, and what to do about it. */
  readonly detail: string;
}
