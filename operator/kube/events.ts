// Events of Kubernetes (events.k8s.io/v1) about an object. Whoever tells them does not wait and never fails by them.
import type { KubeObject } from "./object.ts";

export interface Told {
  readonly about: Required<Pick<KubeObject, "apiVersion" | "kind">> & KubeObject;
  readonly type: "Normal" | "Warning";
  /** CamelCase, of a closed list. */
  readonly reason: string;
  /** What was being done: "Reconcile", "Inject". */
  readonly action: string;
  /** A sentence, cut at 1024 characters. Never a part of a secret. */
  readonly note: string;
}

export interface Events {
  tell(told: Told): void;
}
