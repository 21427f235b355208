// What the author of an injected pod should know though nothing is wrong enough to refuse it. A sentence has at most
// about 200 characters: an admission's warning has room for 256.
import { declaredPorts } from "./checks.ts";
import { askedMounts, listeningPorts, type SidecarPlan } from "./container.ts";
import type { Container, Pod } from "./object.ts";
import { AMOUNTS, isShared } from "./resources.ts";
import { COMPONENT_VARIABLE } from "./volumes.ts";

export function notesOn(pod: Pod, plan: SidecarPlan): string[] {
  return [
    ...missingVolumes(plan),
    ...sharedPorts(pod, plan),
    ...sharedResources(plan),
    ...endless(pod, plan),
    ...components(pod, plan),
    ...names(pod),
    ...image(plan),
  ];
}

function missingVolumes({ annotations, volumes }: SidecarPlan): string[] {
  const present = new Set(volumes.map(({ name }) => name));
  return askedMounts(annotations)
    .filter(({ name }) => !present.has(name))
    .map(({ name }) => `the pod has no volume ${name}: it is not mounted into the sidecar`);
}

/** A declared port need not be listened on, so this is no reason to refuse. */
function sharedPorts(pod: Pod, { annotations }: SidecarPlan): string[] {
  const declared = declaredPorts(pod);
  return listeningPorts(annotations).flatMap(({ name, port, annotation }) => {
    const container = declared.get(port);
    if (container === undefined) return [];
    return [`container ${container} declares port ${port}, where the sidecar has ${name}; ${annotation} moves it`];
  });
}

function sharedResources({ podResources }: SidecarPlan): string[] {
  const shared = AMOUNTS.filter((amount) => isShared(podResources[amount]));
  if (shared.length === 0) return [];
  const them = shared.length === 1 ? "it" : "them";
  return [`spec.resources sets ${shared.join(" and ")} of the whole pod: the sidecar has no defaults of ${them}`];
}

function endless({ spec }: Pod, { native, pluggable: { names } }: SidecarPlan): string[] {
  if (spec.restartPolicy !== "Never" && spec.restartPolicy !== "OnFailure") return [];
  const beside = spec.containers.filter(({ name }) => names.has(name));
  return [
    ...(native ? [] : ["the sidecar keeps the pod running when its app has ended: only a native sidecar ends"]),
    ...beside.map(({ name }) => `container ${name} keeps the pod running when its app has ended, unless it is native`),
  ];
}

function components({ spec }: Pod, { native, annotations, pluggable: { names, folder } }: SidecarPlan): string[] {
  if (annotations["inject-pluggable-components"] && names.size === 0)
    return ["no Component of this app names a container in dapr.io/component-container, so none is put in"];
  const isElsewhere = ({ env }: Container): boolean =>
    (env ?? []).some(({ name, value }) => name === COMPONENT_VARIABLE && value !== folder);
  const own = [...(spec.initContainers ?? []), ...spec.containers].filter(({ name }) => names.has(name));
  const late = native ? spec.containers.filter(({ name }) => names.has(name)) : [];
  return [
    ...own
      .filter(isElsewhere)
      .map(({ name }) => `container ${name} sets the folder of its socket itself, want ${folder}`),
    ...late.map(({ name }) => `container ${name} starts with the app: ${LATE}`),
  ];
}

const LATE = "as an init container with restartPolicy: Always it would start first, and the app when its store serves";

function names({ spec }: Pod): string[] {
  if (spec.hostNetwork !== true || (spec.dnsPolicy ?? "ClusterFirst") !== "ClusterFirst") return [];
  return ["on the host's network the sidecar finds the operator only with dnsPolicy: ClusterFirstWithHostNet"];
}

function image({ annotations }: SidecarPlan): string[] {
  const asked = annotations["sidecar-image"] ?? "";
  return /(^|\/)daprd([:@]|$)/.test(asked) ? [`${asked} looks like Dapr's own sidecar, which does not start here`] : [];
}
