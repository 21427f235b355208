// What a pod is refused for although each of its annotations can be read: what would not start, or what the API server
// would refuse with a text that names nothing of ours.

import {
  apiPorts,
  askedMounts,
  askedResources,
  type ListeningPort,
  listeningPorts,
  SIDECAR_NAME,
  type SidecarPlan,
} from "./container.ts";
import type { Container, Pod, PodSpec } from "./object.ts";
import { checkPluggable } from "./pluggable-checks.ts";
import type { Denial } from "./reasons.ts";
import { AMOUNTS, requested } from "./resources.ts";
import { COMPONENTS_VOLUME, IDENTITY_VOLUME, mountPlace, SIDECAR_PLACES, SOCKET_VOLUME } from "./volumes.ts";

/** The first reason to refuse the pod, or null. `injected`: its sidecar is there already. */
export function check(pod: Pod, plan: SidecarPlan, injected: boolean): Denial | null {
  return (
    checkSystem(pod) ??
    checkNative(plan, injected) ??
    checkResources(pod, plan) ??
    checkMounts(plan) ??
    checkSockets(pod, plan) ??
    checkPluggable(pod, plan, injected) ??
    checkPorts(pod, plan) ??
    (injected ? null : checkVolumes(pod, plan))
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

/** Beyond what the pod has as a whole only annotations can go: where it has something, the settings say nothing. */
function checkResources({ spec }: Pod, plan: SidecarPlan): Denial | null {
  const asked = askedResources(plan);
  const others = runningContainers(spec);
  for (const what of AMOUNTS) {
    const { request, limit } = asked[what];
    const pod = plan.podResources[what];
    const name = `dapr.io/sidecar-${what}`;
    if (request !== null && limit !== null && request.amount > limit.amount)
      return wrong(`${name}-request`, `${request.text}, want at most the limit ${limit.text}`);
    if (limit !== null && pod.limit !== null && limit.amount > pod.limit.amount)
      return wrong(`${name}-limit`, `${limit.text}, want at most spec.resources.limits.${what} ${pod.limit.text}`);
    // A container with a limit alone has a request of that amount, and so has a pod.
    const own = request ?? limit;
    const whole = pod.request ?? pod.limit;
    if (own === null || whole === null || fits(own.amount + requested(others, what), whole.amount)) continue;
    const place = `spec.resources.${pod.request === null ? "limits" : "requests"}.${what} ${whole.text}`;
    const which = request === null ? "limit" : "request";
    return wrong(`${name}-${which}`, `${own.text}, want at most what other containers leave of ${place}`);
  }
  return null;
}

/** Sums of doubles are a little off: 0.1 and 0.2 are more than 0.3. */
function fits(sum: number, whole: number): boolean {
  return sum <= whole * (1 + 1e-9);
}

/** The pod's own containers that run as long as its sidecar does. */
function runningContainers({ initContainers, containers }: PodSpec): readonly Container[] {
  const native = (initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...native, ...containers].filter(({ name }) => name !== SIDECAR_NAME);
}

function checkMounts({ annotations, pluggable: { names, folder } }: SidecarPlan): Denial | null {
  const taken = new Set([...SIDECAR_PLACES, ...(names.size === 0 ? [] : [mountPlace(folder)])]);
  for (const { path, readOnly } of askedMounts(annotations)) {
    const name = readOnly ? "dapr.io/volume-mounts" : "dapr.io/volume-mounts-rw";
    const place = mountPlace(path);
    if (taken.has(place)) return wrong(name, `${path}, where something is mounted already`);
    taken.add(place);
  }
  return null;
}

/** Where something else is mounted, the app would look for its sockets in vain. */
function checkSockets({ spec }: Pod, { annotations }: SidecarPlan): Denial | null {
  const path = annotations["unix-domain-socket-path"];
  if (path === null) return null;
  const place = mountPlace(path);
  const mounted = [...(spec.initContainers ?? []), ...spec.containers].find(({ volumeMounts }) =>
    (volumeMounts ?? []).some(({ name, mountPath }) => mountPlace(mountPath) === place && name !== SOCKET_VOLUME),
  );
  const name = "dapr.io/unix-domain-socket-path";
  if (place === "/") return wrong(name, `${path}, want a folder below the root`);
  if (mounted === undefined) return null;
  return wrong(name, `${path}, where container ${mounted.name} mounts another volume`);
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

function wrong(annotation: string, got: string): Denial {
  return { reason: "wrong-annotation", detail: `${annotation}: got ${got}` };
}

function checkVolumes({ spec }: Pod, { pluggable }: SidecarPlan): Denial | null {
  const names = [IDENTITY_VOLUME, SOCKET_VOLUME, ...(pluggable.names.size === 0 ? [] : [COMPONENTS_VOLUME])];
  const taken = (spec.volumes ?? []).find(({ name }) => names.includes(name));
  return taken === undefined ? null : { reason: "name-taken", detail: `rename the volume ${taken.name}` };
}
