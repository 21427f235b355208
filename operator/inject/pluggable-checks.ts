// What a pod with pluggable components is refused for: what its sidecar would look for in vain, for ever.
import { nearest } from "#kit/nearest.ts";
import { SIDECAR_NAME, type SidecarPlan } from "./container.ts";
import type { Container, Pod } from "./object.ts";
import { findSidecar } from "./pod.ts";
import type { Denial } from "./reasons.ts";
import { COMPONENTS_VARIABLES, COMPONENTS_VOLUME, mountPlace, SIDECAR_PLACES } from "./volumes.ts";

/** The first reason to refuse the pod, or null. `injected`: its sidecar is there already. */
export function checkPluggable(pod: Pod, plan: SidecarPlan, injected: boolean): Denial | null {
  if (plan.pluggable.names.size === 0) return null;
  return (
    checkNames(pod, plan) ?? checkFolder(pod, plan) ?? checkVariables(plan) ?? (injected ? checkInjected(pod) : null)
  );
}

const NAMES = "dapr.io/pluggable-components";
const FOLDER = "dapr.io/pluggable-components-sockets-folder";

function checkNames({ spec }: Pod, { pluggable }: SidecarPlan): Denial | null {
  const init = spec.initContainers ?? [];
  const present = [...init, ...spec.containers].map(({ name }) => name).filter((name) => name !== SIDECAR_NAME);
  for (const name of pluggable.names) {
    if (name === SIDECAR_NAME) return wrong(NAMES, `${name}, which is the sidecar itself`);
    if (!present.includes(name)) {
      const near = nearest(name, present);
      return wrong(NAMES, `${name}, want a container of the pod${near === null ? "" : `; did you mean ${near}?`}`);
    }
    const ends = init.some((each) => each.name === name && each.restartPolicy !== "Always");
    if (ends) return wrong(NAMES, `${name}, an init container that ends; want restartPolicy: Always`);
  }
  return null;
}

/** Where something else is mounted, their sockets would be out of the sidecar's sight. */
function checkFolder({ spec }: Pod, { pluggable: { names, folder } }: SidecarPlan): Denial | null {
  const place = mountPlace(folder);
  if (SIDECAR_PLACES.includes(place)) return wrong(FOLDER, `${folder}, where the sidecar has something else`);
  const isTaken = ({ name, volumeMounts }: Container): boolean =>
    names.has(name) &&
    (volumeMounts ?? []).some((each) => mountPlace(each.mountPath) === place && each.name !== COMPONENTS_VOLUME);
  const taken = [...(spec.initContainers ?? []), ...spec.containers].find(isTaken);
  return taken === undefined ? null : wrong(FOLDER, `${folder}, where container ${taken.name} mounts another volume`);
}

/** Whoever set the folder by a variable, as Dapr's sidecar needs it, may go on if it is the same. No value is shown. */
function checkVariables({ annotations, pluggable: { folder } }: SidecarPlan): Denial | null {
  const isOurs = ({ name }: { readonly name: string }): boolean => COMPONENTS_VARIABLES.includes(name);
  const other = annotations.env.find((each) => isOurs(each) && each.value !== folder);
  const hidden = annotations["env-from-secret"].find(isOurs);
  const given = other ?? hidden;
  if (given === undefined) return null;
  return wrong(`dapr.io/env${other === undefined ? "-from-secret" : ""}`, `${given.name}, want ${FOLDER} in its place`);
}

/** Its sidecar is left as it is, so it would never see them. */
function checkInjected(pod: Pod): Denial | null {
  const mounts = findSidecar(pod)?.container.volumeMounts ?? [];
  if (mounts.some(({ name }) => name === COMPONENTS_VOLUME)) return null;
  return wrong(NAMES, "it when the sidecar was there already; take the sidecar out first (pannier uninject)");
}

function wrong(annotation: string, got: string): Denial {
  return { reason: "wrong-annotation", detail: `${annotation}: got ${got}` };
}
