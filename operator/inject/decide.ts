// The decision on one pod: inject, leave alone, or refuse. Pure: the same pod and settings give the same answer, no value
// of any annotation throws, and an annotated pod never passes without a sidecar and without a word.
import { isEnabled, readAnnotations } from "#crds/annotation-reader.ts";
import { type AnnotationSettings, INJECTED_BY } from "#crds/annotations.ts";
import { describeFault } from "#kit/fault.ts";
import { check } from "./checks.ts";
import type { SidecarPlan } from "./container.ts";
import { notesOn } from "./notes.ts";
import { annotationsOf, type Pod, readPod } from "./object.ts";
import { pluggablePlan, withBrought } from "./pluggable.ts";
import { completedPod, findSidecar, injectedPod } from "./pod.ts";
import {
  DENIED,
  type Denial,
  type DenyReason,
  INJECTED,
  type InjectReason,
  SKIPPED,
  type SkipReason,
} from "./reasons.ts";
import { podResources } from "./resources.ts";
import type { InjectSettings } from "./settings.ts";

export type Decision =
  | {
      readonly outcome: "inject";
      readonly reason: InjectReason;
      readonly sentence: string;
      /** As it should be; see patch.ts for the way there. */
      readonly pod: Pod;
      /** What the author of the pod should know, at most {@link NOTES_MAX} sentences. */
      readonly notes: readonly string[];
    }
  | { readonly outcome: "skip"; readonly reason: SkipReason; readonly sentence: string }
  | { readonly outcome: "deny"; readonly reason: DenyReason; readonly sentence: string };

/** Most notes of one decision, and most faults told in one denial. */
export const NOTES_MAX = 20;

/** Containers and init containers together: the injector decides on the one thread that the operator has. */
export const CONTAINERS_MAX = 500;

const MIRROR = "kubernetes.io/config.mirror";

/**
 * Decides on a pod or a pod template. `namespace`: where it is created (its metadata may not say). The pod may be
 * anything: what is no pod is denied when it asks for a sidecar.
 */
export function decide(value: unknown, namespace: string, settings: InjectSettings): Decision {
  const annotations = annotationsOf(value);
  if (!isEnabled(annotations)) return skip("not-enabled");
  if (MIRROR in annotations) return skip("mirror-pod");
  if (!isCovered(namespace, settings)) return skip("namespace-excluded");
  const read = readPod(value);
  if ("wrong" in read) return deny({ reason: "no-pod", detail: read.wrong });
  const { pod: given } = read;
  const containers = given.spec.containers.length + (given.spec.initContainers?.length ?? 0);
  if (containers > CONTAINERS_MAX)
    return deny({ reason: "too-many", detail: `spec has ${containers}, want at most ${CONTAINERS_MAX}` });
  const sidecar = findSidecar(given);
  if (sidecar !== null && !(INJECTED_BY in annotations)) return skip("other-injector");
  const { settings: asked, faults } = readAnnotations(annotations, {
    "log-level": settings.logLevel,
    "log-as-json": settings.logAsJson,
  });
  if (asked === null) {
    const errors = faults.filter(({ severity }) => severity === "error");
    return deny({ reason: "wrong-annotation", detail: told(errors.map(describeFault)).join("; ") });
  }
  const first = planFor(given, { namespace, asked, settings, native: sidecar?.native ?? null });
  if ("reason" in first) return deny(first);
  const whole = sidecar === null ? withBrought(given, first) : { pod: given, plan: first };
  if ("reason" in whole) return deny(whole);
  const { pod, plan } = whole;
  const denial = check(pod, plan, sidecar !== null);
  if (denial !== null) return deny(denial);
  const notes = told([...faults.map(describeFault), ...notesOn(pod, plan)]);
  if (sidecar !== null) return inject("already-injected", completedPod(pod, plan), notes);
  return inject(plan.native ? "native-sidecar" : "classic-container", injectedPod(pod, plan), notes);
}

function isCovered(namespace: string, { namespaces, excludedNamespaces }: InjectSettings): boolean {
  return !excludedNamespaces.includes(namespace) && (namespaces === null || namespaces.includes(namespace));
}

interface Asked {
  readonly namespace: string;
  readonly asked: AnnotationSettings;
  readonly settings: InjectSettings;
  /** How the sidecar that is there stands; null when there is none. */
  readonly native: boolean | null;
}

function planFor(pod: Pod, { namespace, asked, settings, native }: Asked): SidecarPlan | Denial {
  const appId = asked["app-id"] ?? pod.metadata?.name ?? "";
  if (appId === "") return { reason: "no-app-id", detail: NO_APP_ID };
  // A pod's name may be longer than an app id, and have dots.
  if (readAnnotations({ "dapr.io/app-id": appId }).settings === null) return { reason: "no-app-id", detail: BAD_NAME };
  return {
    appId,
    namespace,
    annotations: asked,
    settings,
    native: native ?? asked["enable-native-sidecar"] ?? settings.nativeSidecars.byDefault,
    hostNetwork: pod.spec.hostNetwork === true,
    podResources: podResources(pod.spec),
    volumes: pod.spec.volumes ?? [],
    pluggable: pluggablePlan(pod, asked, native !== null),
  };
}

const NO_APP_ID = "set the annotation dapr.io/app-id: pods of a controller have no name yet that could stand for it";
const BAD_NAME =
  "its name cannot be one, which has no dots and at most 58 characters: set the annotation dapr.io/app-id";

function told(sentences: readonly string[]): readonly string[] {
  if (sentences.length <= NOTES_MAX) return sentences;
  return [...sentences.slice(0, NOTES_MAX - 1), `and ${sentences.length - NOTES_MAX + 1} more`];
}

function inject(reason: InjectReason, pod: Pod, notes: readonly string[]): Decision {
  return { outcome: "inject", reason, sentence: INJECTED[reason], pod, notes };
}

function skip(reason: SkipReason): Decision {
  return { outcome: "skip", reason, sentence: SKIPPED[reason] };
}

function deny({ reason, detail }: Denial): Decision {
  return { outcome: "deny", reason, sentence: `${DENIED[reason]}: ${detail}` };
}
