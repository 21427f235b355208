// The wanted pod: the sidecar's container, its volumes, labels and mark, and what each of the app's containers is told.
// Applied to its own result it changes nothing. Shares with the pod it was given what stays as it was.
import { INJECTED_BY, LABELS_BEFORE } from "#crds/annotations.ts";
import { VERSION } from "#kit/version.ts";
import { SIDECAR_NAME, type SidecarPlan, sidecarContainer, userMounts } from "./container.ts";
import type { Container, EnvVar, Pod, PodSpec, VolumeMount } from "./object.ts";
import { sidecarPlace, startsLate } from "./pluggable.ts";
import {
  COMPONENT_VARIABLE,
  COMPONENTS_VOLUME,
  componentsVolume,
  identityVolume,
  mountPlace,
  SOCKET_VOLUME,
  socketVolume,
} from "./volumes.ts";

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
  const { appId, annotations, native, pluggable } = plan;
  const own = {
    "dapr.io/sidecar-injected": "true",
    "dapr.io/app-id": appId,
    "dapr.io/metrics-enabled": String(annotations["enable-metrics"]),
  };
  const before = pod.metadata?.labels ?? {};
  const labels = { ...before, ...own };
  const marks = { ...pod.metadata?.annotations, [INJECTED_BY]: VERSION, ...markOf(before, Object.keys(own)) };
  const { spec } = pod;
  const sidecar = sidecarContainer(plan, !startsLate(spec, pluggable));
  const placed = native
    ? { initContainers: (spec.initContainers ?? []).toSpliced(sidecarPlace(spec, pluggable), 0, sidecar) }
    : { containers: [...spec.containers, sidecar] };
  const sockets = annotations["unix-domain-socket-path"] === null ? [] : [socketVolume()];
  const components = pluggable.names.size === 0 ? [] : [componentsVolume()];
  const volumes = [...(spec.volumes ?? []), ...sockets, ...components, identityVolume()];
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
  const containers = mapChanged(spec.containers, (each) => completed(each, plan));
  return { ...pod, spec: { ...spec, containers, ...completedInit(spec, plan) } };
}

/** Only init containers behind a native sidecar can reach it; components stand before any sidecar, which reaches them. */
function completedInit({ initContainers }: PodSpec, plan: SidecarPlan): Pick<PodSpec, "initContainers"> {
  const list = initContainers ?? [];
  const sidecar = list.findIndex(({ name }) => name === SIDECAR_NAME);
  const isConcerned = ({ name }: Container, index: number): boolean =>
    plan.pluggable.names.has(name) || (sidecar >= 0 && index >= sidecar);
  const change = (each: Container, index: number): Container =>
    isConcerned(each, index) ? completed(each, plan) : each;
  return list.length === 0 ? {} : { initContainers: mapChanged(list, change) };
}

function completed(container: Container, plan: SidecarPlan): Container {
  if (container.name === SIDECAR_NAME) return withMounts(container, userMounts(plan.annotations, plan.volumes));
  const { names, folder } = plan.pluggable;
  if (names.has(container.name)) return completedComponent(container, folder);
  const path = plan.annotations["unix-domain-socket-path"];
  const sockets = path === null ? [] : [{ name: SOCKET_VOLUME, mountPath: path }];
  return withMounts(withVariables(container, appVariables(plan)), sockets);
}

/** As with Dapr, one is told where its socket belongs, and not how to reach the sidecar. */
function completedComponent(container: Container, folder: string): Container {
  const told = withVariables(container, [{ name: COMPONENT_VARIABLE, value: folder }]);
  return withMounts(told, [{ name: COMPONENTS_VOLUME, mountPath: folder }]);
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
