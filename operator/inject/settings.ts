// What the injector is told besides the pod, by the operator's flags or those of `pannier inject`.
import type { Quantity } from "#crds/annotation-values.ts";
import type { LogLevel } from "#kit/log.ts";
import { VERSION } from "#kit/version.ts";

export interface SidecarResources {
  readonly cpuRequest: Quantity | null;
  readonly cpuLimit: Quantity | null;
  readonly memoryRequest: Quantity | null;
  readonly memoryLimit: Quantity | null;
}

/** What a Component of the pod's namespace says about the container that serves it. */
export interface ComponentContainer {
  /** Name of the Component. */
  readonly component: string;
  /** App ids that may have it; empty for all. */
  readonly scopes: readonly string[];
  /** The annotation's value: a container in JSON, of which nothing is checked yet. Empty: somebody else puts it there. */
  readonly text: string;
}

export interface InjectSettings {
  readonly image: string;
  readonly imagePullPolicy: "Always" | "IfNotPresent" | "Never";
  /** Null: none is set, and Kubernetes decides. */
  readonly resources: SidecarResources;
  /** Whether the cluster has sidecar containers (1.29 and later), and whether a pod gets one unasked. */
  readonly nativeSidecars: { readonly supported: boolean; readonly byDefault: boolean };
  /** `host:port` of the distribution API. */
  readonly controlPlaneAddress: string;
  readonly controlPlaneNamespace: string;
  /** Null: the pod has only those of the projected ConfigMap. */
  readonly trustAnchorsPem: string | null;
  /** Null: what the image and the namespace say, as OpenShift wants it. */
  readonly runAsUser: number | null;
  readonly runAsGroup: number | null;
  /** Of sidecars whose pod says nothing about it. */
  readonly logLevel: LogLevel;
  readonly logAsJson: boolean;
  /** Null: all but `excludedNamespaces`. */
  readonly namespaces: readonly string[] | null;
  readonly excludedNamespaces: readonly string[];
  /** Null: nobody knows them. */
  readonly componentContainers: readonly ComponentContainer[] | null;
}

/** The user of the image. */
const NON_ROOT = 65_532;

/**
 * Small, since every pod pays them. 50m of a core is what about a thousand requests a second take. 96Mi is what a busy
 * sidecar occupies; up to 512Mi it may grow under many large bodies before it is taken for a leak. There is no limit on
 * CPU: it would slow the sidecar down while the node is idle.
 */
const RESOURCES: SidecarResources = {
  cpuRequest: { text: "50m", amount: 0.05 },
  cpuLimit: null,
  memoryRequest: { text: "96Mi", amount: 96 * 2 ** 20 },
  memoryLimit: { text: "512Mi", amount: 512 * 2 ** 20 },
};

/** What holds unless somebody says otherwise; `controlPlaneNamespace` is where the operator runs. */
export function defaultSettings(controlPlaneNamespace: string): InjectSettings {
  return {
    image: `pannier:${VERSION}`,
    imagePullPolicy: "IfNotPresent",
    resources: RESOURCES,
    nativeSidecars: { supported: true, byDefault: true },
    // Without the cluster's domain, which a cluster may choose; the search list of every pod ends in it.
    controlPlaneAddress: `pannier-operator.${controlPlaneNamespace}.svc:6500`,
    controlPlaneNamespace,
    trustAnchorsPem: null,
    runAsUser: NON_ROOT,
    runAsGroup: NON_ROOT,
    logLevel: "info",
    logAsJson: false,
    namespaces: null,
    excludedNamespaces: ["kube-system", controlPlaneNamespace],
    componentContainers: null,
  };
}
