// What a pod is refused for although each of its annotations can be read: what would not start, or what the API server
// would refuse with a text that names nothing of ours.

import { IDENTITY_FOLDER } from "#crds/distribution.ts";
import {
  apiPorts,
  askedMounts,
  effectiveResources,
  type ListeningPort,
  listeningPorts,
  SIDECAR_NAME,
  type SidecarPlan,
} from "./container.ts";
import type { Pod } from "./object.ts";
import type { Denial } from "./reasons.ts";
import { IDENTITY_VOLUME, SOCKET_FOLDER, SOCKET_VOLUME } from "./volumes.ts";

/** The first reason to refuse the pod, or null. `injected`: its sidecar is there already. */
export function check(pod: Pod, plan: SidecarPlan, injected: boolean): Denial | null {
  return (
    checkSystem(pod) ??
    checkNative(plan, injected) ??
    checkResources(plan) ??
    checkMounts(plan) ??
    checkSockets(pod, plan) ??
    checkPorts(pod, plan) ??
    (injected ? null : checkVolumes(pod))
  );
}

function checkSystem({ spec }: Pod): Denial | null {
  return spec.os?.name === "windows" ? { reason: "no-linux", detail: "spec.os.name is windows" } : null;
}

/** Without the feature the API server drops `restartPolicy`, and the pod waits for ever for its first init container. */
function checkNative({ native, settings }: SidecarPlan, injected: boolean): Denial | null {
  if (!native || injected || settings.nativeSidecars.supported) return null;
  return { reason: "too-old", detail: "enable-native-sidecar needs Kubernetes 1.29 or later; remove the annotation" };
}

function checkResources({ annotations, settings }: SidecarPlan): Denial | null {
  for (const [what, { request, limit }] of Object.entries(effectiveResources(annotations, settings.resources))) {
    if (request === null || limit === null || request.amount <= limit.amount) continue;
    const detail = `dapr.io/sidecar-${what}-request: got ${request.text}, want at most the limit ${limit.text}`;
    return { reason: "wrong-annotation", detail };
  }
  return null;
}

function checkMounts({ annotations }: SidecarPlan): Denial | null {
  const taken = new Set<string>([SOCKET_FOLDER, IDENTITY_FOLDER]);
  for (const { path, readOnly } of askedMounts(annotations)) {
    const name = readOnly ? "dapr.io/volume-mounts" : "dapr.io/volume-mounts-rw";
    if (taken.has(path))
      return { reason: "wrong-annotation", detail: `${name}: got ${path}, where something is mounted already` };
    taken.add(path);
  }
  return null;
}

/** Where something else is mounted, the app would look for its sockets in vain. */
function checkSockets({ spec }: Pod, { annotations }: SidecarPlan): Denial | null {
  const path = annotations["unix-domain-socket-path"];
  const mounted = [...(spec.initContainers ?? []), ...spec.containers].find(({ volumeMounts }) =>
    (volumeMounts ?? []).some(({ name, mountPath }) => mountPath === path && name !== SOCKET_VOLUME),
  );
  if (mounted === undefined) return null;
  const detail = `dapr.io/unix-domain-socket-path: got ${path}, where container ${mounted.name} mounts another volume`;
  return { reason: "wrong-annotation", detail };
}

/** Containers of a pod share one network, so the app's port counts wherever the pod runs. */
function checkPorts(pod: Pod, { annotations, hostNetwork }: SidecarPlan): Denial | null {
  const taken = new Map<number, string>();
  const appPort = annotations["app-port"];
  const app = "the app, by dapr.io/app-port";
  // The sidecar does not start so, even where it serves sockets and no port.
  for (const each of apiPorts(annotations)) if (each.port === appPort) return portClash(each, app);
  if (appPort !== null) taken.set(appPort, app);
  if (hostNetwork) for (const [port, container] of declaredPorts(pod)) taken.set(port, `container ${container}`);
  for (const each of listeningPorts(annotations)) {
    const other = taken.get(each.port);
    if (other !== undefined) return portClash(each, other);
    taken.set(each.port, each.name);
  }
  return null;
}

function portClash({ name, port, annotation }: ListeningPort, other: string): Denial {
  return { reason: "port-clash", detail: `${port} is ${name}'s and that of ${other}; move one with ${annotation}` };
}

/** Ports that the pod's own containers declare for TCP, with the container's name. */
export function declaredPorts({ spec }: Pod): Map<number, string> {
  const containers = [...(spec.initContainers ?? []), ...spec.containers].filter(({ name }) => name !== SIDECAR_NAME);
  return new Map(
    containers.flatMap(({ name, ports }) =>
      (ports ?? []).filter(({ protocol }) => (protocol ?? "TCP") === "TCP").map((each) => [each.containerPort, name]),
    ),
  );
}

function checkVolumes({ spec }: Pod): Denial | null {
  const names = [IDENTITY_VOLUME, SOCKET_VOLUME];
  const taken = (spec.volumes ?? []).find(({ name }) => names.includes(name));
  return taken === undefined ? null : { reason: "name-taken", detail: `rename the volume ${taken.name}` };
}
