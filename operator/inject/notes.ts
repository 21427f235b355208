// What the author of an injected pod should know though nothing is wrong enough to refuse it. A sentence has at most
// about 200 characters: an admission's warning has room for 256.
import { declaredPorts } from "./checks.ts";
import { askedMounts, listeningPorts, type SidecarPlan } from "./container.ts";
import type { Pod } from "./object.ts";
import { AMOUNTS, isShared } from "./resources.ts";

export function notesOn(pod: Pod, plan: SidecarPlan): string[] {
  return [
    ...missingVolumes(plan),
    ...sharedPorts(pod, plan),
    ...sharedResources(plan),
    ...endless(pod, plan),
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

function endless({ spec }: Pod, { native }: SidecarPlan): string[] {
  const ends = spec.restartPolicy === "Never" || spec.restartPolicy === "OnFailure";
  return ends && !native
    ? ["the sidecar keeps the pod running when its app has ended: only a native sidecar ends"]
    : [];
}

function names({ spec }: Pod): string[] {
  if (spec.hostNetwork !== true || (spec.dnsPolicy ?? "ClusterFirst") !== "ClusterFirst") return [];
  return ["on the host's network the sidecar finds the operator only with dnsPolicy: ClusterFirstWithHostNet"];
}

function image({ annotations }: SidecarPlan): string[] {
  const asked = annotations["sidecar-image"] ?? "";
  return /(^|\/)daprd([:@]|$)/.test(asked) ? [`${asked} looks like Dapr's own sidecar, which does not start here`] : [];
}
