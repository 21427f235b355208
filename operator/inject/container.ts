// The sidecar's container (dapr-kubernetes.md 2.4): names, arguments, variables, probes and mounts as Dapr's where Pannier
// has the like, and pod security of the level "restricted" always.
import type { Mount } from "#crds/annotation-values.ts";
import type { AnnotationSettings } from "#crds/annotations.ts";
import { IDENTITY_FOLDER } from "#crds/distribution.ts";
import type { Container, ContainerPort, EnvVar, Volume, VolumeMount } from "./object.ts";
import type { PluggablePlan } from "./pluggable.ts";
import { effectiveResources, type Resources, resourcesMember } from "./resources.ts";
import type { InjectSettings } from "./settings.ts";
import { COMPONENTS_VARIABLES, COMPONENTS_VOLUME, IDENTITY_VOLUME, SOCKET_FOLDER, SOCKET_VOLUME } from "./volumes.ts";

export const SIDECAR_NAME = "daprd";

/** A pod's sidecar, everything decided. */
export interface SidecarPlan {
  readonly appId: string;
  readonly namespace: string;
  readonly annotations: AnnotationSettings;
  readonly settings: InjectSettings;
  readonly native: boolean;
  readonly hostNetwork: boolean;
  /** Those of the pod as a whole. */
  readonly podResources: Resources;
  /** Those of the pod. */
  readonly volumes: readonly Volume[];
  readonly pluggable: PluggablePlan;
}

/** `waits`: as a native sidecar it counts as started only when its stores can be used. */
export function sidecarContainer(plan: SidecarPlan, waits: boolean): Container {
  const { annotations, settings } = plan;
  return {
    name: SIDECAR_NAME,
    image: annotations["sidecar-image"] ?? settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    args: sidecarArguments(plan),
    ports: containerPorts(plan),
    env: variablesOf(plan),
    ...resourcesMember(askedResources(plan)),
    ...probesOf(plan, waits),
    securityContext: securityContext(plan),
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: sidecarMounts(plan),
    ...(plan.native ? { restartPolicy: "Always" } : {}),
  };
}

/** Flags that need no value, or whose absence says something, stand behind those that are always there. */
function sidecarArguments({ appId, annotations, settings }: SidecarPlan): string[] {
  const given = (flag: string, value: string | number | null): string[] => (value === null ? [] : [flag, `${value}`]);
  const when = (flag: string, holds: boolean): string[] => (holds ? [flag] : []);
  const appPort = annotations["app-port"];
  const apiLogging = annotations["enable-api-logging"];
  return [
    "/daprd",
    ...["--dapr-http-port", `${annotations["http-port"]}`],
    ...["--dapr-grpc-port", `${annotations["grpc-port"]}`],
    ...["--dapr-listen-addresses", annotations["sidecar-listen-addresses"]],
    ...["--dapr-public-port", `${annotations["public-port"]}`],
    ...["--app-id", appId],
    ...["--app-protocol", annotations["app-protocol"]],
    ...["--log-level", annotations["log-level"]],
    ...["--dapr-graceful-shutdown-seconds", `${annotations["graceful-shutdown-seconds"]}`],
    ...["--mode", "kubernetes"],
    ...["--control-plane-address", settings.controlPlaneAddress],
    ...(appPort === null || appPort === 0 ? [] : ["--app-port", `${appPort}`]),
    ...(annotations["enable-metrics"] ? ["--enable-metrics"] : ["--enable-metrics=false"]),
    ...["--metrics-port", `${annotations["metrics-port"]}`],
    ...given("--config", annotations.config),
    ...given("--app-channel-address", annotations["app-channel-address"]),
    ...(apiLogging === null ? [] : [`--enable-api-logging=${apiLogging}`]),
    ...when("--log-as-json", annotations["log-as-json"]),
    ...when("--app-ssl", annotations["app-ssl"]),
    ...given("--app-max-concurrency", annotations["app-max-concurrency"]),
    ...given("--dapr-http-max-request-size", annotations["http-max-request-size"]),
    ...given("--max-body-size", annotations["max-body-size"]),
    ...given("--dapr-http-read-buffer-size", annotations["http-read-buffer-size"]),
    ...given("--read-buffer-size", annotations["read-buffer-size"]),
    ...given("--unix-domain-socket", annotations["unix-domain-socket-path"] === null ? null : SOCKET_FOLDER),
    ...given("--dapr-block-shutdown-duration", annotations["block-shutdown-duration"]),
  ];
}

/** A port on which the sidecar listens, with the annotation that moves it. */
export interface ListeningPort {
  readonly name: string;
  readonly port: number;
  readonly annotation: string;
}

/** Those of the APIs, also where they are served on sockets. */
export function apiPorts(annotations: AnnotationSettings): ListeningPort[] {
  return [
    { name: "dapr-http", port: annotations["http-port"], annotation: "pannier.io/http-port" },
    { name: "dapr-grpc", port: annotations["grpc-port"], annotation: "dapr.io/grpc-port" },
  ];
}

export function listeningPorts(annotations: AnnotationSettings): ListeningPort[] {
  const metrics = { name: "dapr-metrics", port: annotations["metrics-port"], annotation: "dapr.io/metrics-port" };
  return [
    ...(annotations["unix-domain-socket-path"] === null ? apiPorts(annotations) : []),
    ...(annotations["enable-metrics"] ? [metrics] : []),
    { name: "dapr-public", port: annotations["public-port"], annotation: "pannier.io/public-port" },
  ];
}

/** Dapr does not declare the public port. On the host's network it must be: the scheduler goes by what is declared. */
function containerPorts({ annotations, hostNetwork }: SidecarPlan): ContainerPort[] {
  return listeningPorts(annotations)
    .filter(({ name }) => hostNetwork || name !== "dapr-public")
    .map(({ name, port }) => ({ name, containerPort: port }));
}

function variablesOf({ namespace, annotations, settings, pluggable }: SidecarPlan): EnvVar[] {
  const fromSecrets = annotations["env-from-secret"].map(({ name, secret, key }) => fromSecret(name, secret, key));
  const names = [...annotations.env, ...fromSecrets].map(({ name }) => name);
  const tokens = [
    ["DAPR_API_TOKEN", annotations["api-token-secret"]],
    ["APP_API_TOKEN", annotations["app-token-secret"]],
  ] as const;
  return [
    { name: "NAMESPACE", value: namespace },
    ...(settings.trustAnchorsPem === null ? [] : [{ name: "DAPR_TRUST_ANCHORS", value: settings.trustAnchorsPem }]),
    { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
    { name: "DAPR_CONTROLPLANE_NAMESPACE", value: settings.controlPlaneNamespace },
    ...annotations.env.map(({ name, value }) => ({ name, value })),
    ...fromSecrets,
    // The names that a Component's envRef may use (dapr-kubernetes.md 1.1).
    ...(names.length === 0 ? [] : [{ name: "DAPR_ENV_KEYS", value: names.join(" ") }]),
    ...componentVariables(pluggable).filter(({ name }) => !names.includes(name)),
    ...tokens.flatMap(([name, secret]) => (secret === null ? [] : [fromSecret(name, secret, "token")])),
  ];
}

function componentVariables({ names, folder }: PluggablePlan): EnvVar[] {
  return names.size === 0 ? [] : COMPONENTS_VARIABLES.map((name) => ({ name, value: folder }));
}

export function askedResources({ annotations, settings, podResources: pod }: SidecarPlan): Resources {
  return effectiveResources({ annotations, settings: settings.resources, pod });
}

function fromSecret(name: string, secret: string, key: string): EnvVar {
  return { name, valueFrom: { secretKeyRef: { name: secret, key } } };
}

/**
 * From the start to the first sign of life: an hour of seconds. A sidecar that waits for the operator lives and is not
 * ready; to restart it would not help.
 */
const STARTUP_FAILURES_MAX = 3600;

function probesOf({ annotations, native }: SidecarPlan, waits: boolean): object {
  const port = annotations["public-port"];
  return {
    // The outbound health does not wait for the app, which in turn waits for this probe.
    ...(native ? { startupProbe: startupProbe(port, waits) } : {}),
    readinessProbe: {
      httpGet: { path: "/v1.0/healthz", port },
      initialDelaySeconds: annotations["sidecar-readiness-probe-delay-seconds"],
      timeoutSeconds: annotations["sidecar-readiness-probe-timeout-seconds"],
      periodSeconds: annotations["sidecar-readiness-probe-period-seconds"],
      failureThreshold: annotations["sidecar-readiness-probe-threshold"],
    },
    livenessProbe: {
      tcpSocket: { port },
      initialDelaySeconds: annotations["sidecar-liveness-probe-delay-seconds"],
      timeoutSeconds: annotations["sidecar-liveness-probe-timeout-seconds"],
      periodSeconds: annotations["sidecar-liveness-probe-period-seconds"],
      failureThreshold: annotations["sidecar-liveness-probe-threshold"],
    },
  };
}

function startupProbe(port: number, waits: boolean): object {
  const asked = waits ? { httpGet: { path: "/v1.0/healthz/outbound", port } } : { tcpSocket: { port } };
  return { ...asked, timeoutSeconds: 1, periodSeconds: 1, failureThreshold: STARTUP_FAILURES_MAX };
}

function securityContext({ annotations, settings }: SidecarPlan): object {
  return {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    ...(settings.runAsUser === null ? {} : { runAsUser: settings.runAsUser }),
    ...(settings.runAsGroup === null ? {} : { runAsGroup: settings.runAsGroup }),
    seccompProfile: { type: annotations["sidecar-seccomp-profile-type"] },
  };
}

function sidecarMounts(plan: SidecarPlan): VolumeMount[] {
  const sockets = { name: SOCKET_VOLUME, mountPath: SOCKET_FOLDER };
  const { names, folder } = plan.pluggable;
  return [
    ...userMounts(plan.annotations, plan.volumes),
    ...(plan.annotations["unix-domain-socket-path"] === null ? [] : [sockets]),
    ...(names.size === 0 ? [] : [{ name: COMPONENTS_VOLUME, mountPath: folder }]),
    { name: IDENTITY_VOLUME, mountPath: IDENTITY_FOLDER, readOnly: true },
  ];
}

/** The mounts that annotations ask for, of volumes that the pod has. */
export function userMounts(annotations: AnnotationSettings, volumes: readonly Volume[]): VolumeMount[] {
  const names = new Set(volumes.map(({ name }) => name));
  return askedMounts(annotations)
    .filter(({ name }) => names.has(name))
    .map(({ name, path, readOnly }) => ({ name, mountPath: path, ...(readOnly ? { readOnly } : {}) }));
}

export interface AskedMount extends Mount {
  readonly readOnly: boolean;
}

export function askedMounts(annotations: AnnotationSettings): AskedMount[] {
  return [
    ...annotations["volume-mounts"].map((mount) => ({ ...mount, readOnly: true })),
    ...annotations["volume-mounts-rw"].map((mount) => ({ ...mount, readOnly: false })),
  ];
}
