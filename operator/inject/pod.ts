// The wanted pod: the sidecar's container, its volumes, labels and mark, and what each of the app's containers is told.
// Applied to its own result it changes nothing. Shares with the pod it was given what stays as it was.
import { INJECTED_BY, LABELS_BEFORE } from "#crds/annotations.ts";
import { VERSION } from "#kit/version.ts";
import { SIDECAR_NAME, type SidecarPlan, sidecarContainer, userMounts } from "./container.ts";
import type { Container, EnvVar, Pod, PodSpec, VolumeMount } from "./object.ts";
import { identityVolume, mountPlace, SOCKET_VOLUME, socketVolume } from "./volumes.ts";

/** Where a pod's sidecar stands. */
export interface FoundSidecar {
  readonly container: Container;
  readonly native: boolean;
}

/** The container that is called as Dapr's and ours are, whoever put it there. */
export function findSidecar({ spec }: Pod): FoundSidecar | null {
  const isSidecar = ({ name }: Container): boolean => name === SIDECAR_NAME;
  const native = (spec.initContainers ?? []).find(isSidecar);
  if (native !== undefined) return { container: native, native: true };
  const classic = spec.containers.find(isSidecar);
  return classic === undefined ? null : { container: classic, native: false };
}

/** The pod with its sidecar. */
export function injectedPod(pod: Pod, plan: SidecarPlan): Pod {
  const { appId, annotations, native } = plan;
  const own = {
    "dapr.io/sidecar-injected": "true",
    "dapr.io/app-id": appId,
    "dapr.io/metrics-enabled": String(annotations["enable-metrics"]),
  };
  const before = pod.metadata?.labels ?? {};
  const labels = { ...before, ...own };
  const marks = { ...pod.metadata?.annotations, [INJECTED_BY]: VERSION, ...markOf(before, Object.keys(own)) };
  const sidecar = sidecarContainer(plan);
  const { spec } = pod;
  const placed = native
    ? { initContainers: [sidecar, ...(spec.initContainers ?? [])] }
    : { containers: [...spec.containers, sidecar] };
  const sockets = annotations["unix-domain-socket-path"] === null ? [] : [socketVolume()];
  const volumes = [...(spec.volumes ?? []), ...sockets, identityVolume()];
  const withSidecar = { ...pod, metadata: { ...pod.metadata, labels, annotations: marks } };
  return completedPod({ ...withSidecar, spec: { ...spec, volumes, ...placed } }, plan);
}

/** Of labels that the author had set himself: a selector may go by them, so uninject.ts puts them back. */
function markOf(before: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  const kept = names.filter((name) => Object.hasOwn(before, name)).map((name) => `${name}=${before[name]}`);
  return kept.length === 0 ? {} : { [LABELS_BEFORE]: kept.join(",") };
}

/**
 * The pod, whose sidecar is there already, with what later webhooks' containers and volumes lack. The sidecar's own
 * container is left as it is, but for mounts of volumes that came after it.
 */
export function completedPod(pod: Pod, plan: SidecarPlan): Pod {
  const { spec } = pod;
  const later = plan.native ? completedInit(spec, plan) : {};
  const containers = mapChanged(spec.containers, (each) => completed(each, plan));
  return { ...pod, spec: { ...spec, containers, ...later } };
}

/** Only init containers behind a native sidecar can reach it. */
function completedInit(spec: PodSpec, plan: SidecarPlan): Pick<PodSpec, "initContainers"> {
  const list = spec.initContainers ?? [];
  const from = list.findIndex(({ name }) => name === SIDECAR_NAME);
  return { initContainers: mapChanged(list, (each, index) => (index < from ? each : completed(each, plan))) };
}

function completed(container: Container, plan: SidecarPlan): Container {
  if (container.name === SIDECAR_NAME) return withMounts(container, userMounts(plan.annotations, plan.volumes));
  const path = plan.annotations["unix-domain-socket-path"];
  const sockets = path === null ? [] : [{ name: SOCKET_VOLUME, mountPath: path }];
  return withMounts(withVariables(container, appVariables(plan)), sockets);
}

function appVariables({ annotations }: SidecarPlan): EnvVar[] {
  return [
    { name: "DAPR_HTTP_PORT", value: `${annotations["http-port"]}` },
    { name: "DAPR_GRPC_PORT", value: `${annotations["grpc-port"]}` },
    { name: "APP_PROTOCOL", value: annotations["app-protocol"] },
  ];
}

/** They come first: a variable can refer only to those before it, as in `http://localhost:$(DAPR_HTTP_PORT)`. */
function withVariables(container: Container, variables: readonly EnvVar[]): Container {
  const names = new Set((container.env ?? []).map(({ name }) => name));
  const missing = variables.filter(({ name }) => !names.has(name));
  return missing.length === 0 ? container : { ...container, env: [...missing, ...(container.env ?? [])] };
}

function withMounts(container: Container, mounts: readonly VolumeMount[]): Container {
  const places = new Set((container.volumeMounts ?? []).map(({ mountPath }) => mountPlace(mountPath)));
  const missing = mounts.filter(({ mountPath }) => !places.has(mountPlace(mountPath)));
  if (missing.length === 0) return container;
  return { ...container, volumeMounts: [...(container.volumeMounts ?? []), ...missing] };
}

/** Like map, but gives the list itself when nothing changed. */
function mapChanged<T>(list: readonly T[], change: (item: T, index: number) => T): readonly T[] {
  const changed = list.map(change);
  return changed.every((item, index) => item === list[index]) ? list : changed;
}
