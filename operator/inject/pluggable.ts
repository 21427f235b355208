// Which of a pod's containers are pluggable components, and the pod with those that its Components bring along
// (docs/stores/pluggable.md). Knows no volume and no variable, and reads no Component itself.
import { isLabelName } from "#crds/annotation-values.ts";
import { type AnnotationSettings, COMPONENT_CONTAINER, INJECTED_COMPONENTS } from "#crds/annotations.ts";
import { SIDECAR_NAME, type SidecarPlan } from "./container.ts";
import { annotationsOf, type Container, containerFault, isMapping, type Pod, type PodSpec } from "./object.ts";
import type { Denial } from "./reasons.ts";
import type { ComponentContainer } from "./settings.ts";

export interface PluggablePlan {
  /** Of their sockets, in each of them and in the sidecar. */
  readonly folder: string;
  /** Names of the containers; empty: there are none, and then there is no volume either. */
  readonly names: ReadonlySet<string>;
}

/** Most containers that Components bring into one pod. */
export const BROUGHT_MAX = 50;
/** Longest text of one, in characters. */
export const CONTAINER_CHARS_MAX = 16_384;
/** Deepest nesting of one; what Kubernetes knows of a container has eight levels. */
const LEVELS_MAX = 20;

/** `injected`: the sidecar is there already, and with it what Components had brought. */
export function pluggablePlan(pod: Pod, asked: AnnotationSettings, injected: boolean): PluggablePlan {
  const brought = injected ? broughtParts(pod).containers : [];
  const names = new Set([...asked["pluggable-components"], ...brought]);
  return { folder: asked["pluggable-components-sockets-folder"], names };
}

/** What Components had brought into a pod, by its mark. */
export function broughtParts(pod: Pod): { readonly containers: string[]; readonly volumes: string[] } {
  const mark = annotationsOf(pod)[INJECTED_COMPONENTS];
  const parts = typeof mark === "string" ? mark.split(",") : [];
  const named = (kind: string): string[] =>
    parts.filter((part) => part.startsWith(kind)).map((part) => part.slice(kind.length));
  return { containers: named("container/"), volumes: named("volume/") };
}

/** Where a native sidecar belongs among the init containers: behind the last component, so that each is there before it. */
export function sidecarPlace({ initContainers }: PodSpec, { names }: PluggablePlan): number {
  return (initContainers ?? []).findLastIndex(({ name }) => names.has(name)) + 1;
}

/** Whether a component starts only when a native sidecar has: the sidecar's start must not wait for its stores then. */
export function startsLate({ containers }: PodSpec, { names }: PluggablePlan): boolean {
  return containers.some(({ name }) => names.has(name));
}

/** Pod and plan with the containers that Components bring; both as they are where nobody asks for it. */
export function withBrought(pod: Pod, plan: SidecarPlan): { readonly pod: Pod; readonly plan: SidecarPlan } | Denial {
  if (!plan.annotations["inject-pluggable-components"]) return { pod, plan };
  if (plan.settings.componentContainers === null) return denial(UNKNOWN);
  const containers = containersFor(plan.appId, plan.settings.componentContainers);
  if ("reason" in containers) return containers;
  const { spec } = pod;
  const taken = new Set([
    SIDECAR_NAME,
    ...[...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name),
  ]);
  for (const { container, component } of containers) {
    const { name } = container;
    if (taken.has(name))
      return ofComponent(component, `name: got ${name}, as another container has it; choose another`);
    taken.add(name);
  }
  return containers.length === 0 ? { pod, plan } : brought(pod, plan, containers);
}

const UNKNOWN =
  "nobody can say which yet: an operator that has just started reads the Components first, and `pannier inject` " +
  "has none; write the containers into the pod instead, and name them in dapr.io/pluggable-components";

interface Brought {
  readonly component: string;
  readonly container: Container;
}

/** One for each image, as Dapr does: a program can serve several Components. */
function containersFor(appId: string, all: readonly ComponentContainer[]): readonly Brought[] | Denial {
  const own = all.filter(({ text, scopes }) => text !== "" && (scopes.length === 0 || scopes.includes(appId)));
  const byText = new Map<string, ComponentContainer>();
  for (const each of own.toSorted((left, right) => (left.component < right.component ? -1 : 1)))
    if (!byText.has(each.text)) byText.set(each.text, each);
  if (byText.size > BROUGHT_MAX) return denial(`Components have ${byText.size} of them, want at most ${BROUGHT_MAX}`);
  const byImage = new Map<unknown, Brought>();
  for (const each of byText.values()) {
    const container = readContainer(each);
    if (typeof container === "string") return ofComponent(each.component, container);
    if (!byImage.has(container.image)) byImage.set(container.image, { component: each.component, container });
  }
  return [...byImage.values()];
}

/** The container, or what is wrong with its text. */
function readContainer({ component, text }: ComponentContainer): Container | string {
  if (text.length > CONTAINER_CHARS_MAX) return `want at most ${CONTAINER_CHARS_MAX} characters`;
  const value = parsed(text);
  if (!isMapping(value) || isDeep(value, LEVELS_MAX)) return "want a container, in JSON";
  // Where it stands decides about its restarts, not its author.
  const { name, restartPolicy: _restartPolicy, ...rest } = value;
  const named = { name: name || component, ...rest };
  const fault = containerFault(named);
  if (fault !== null) return fault;
  // Checked just now: the members that Container names have the types that it gives them.
  const container = named as Container;
  if (!isLabelName(container.name)) return `name: got ${JSON.stringify(container.name)}, want a container's name`;
  return typeof container.image === "string" && container.image !== "" ? container : "image: want text";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is told as what is no container: the parser's words would repeat the text.
    return null;
  }
}

function isDeep(value: unknown, left: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return left === 0 || Object.values(value).some((each) => isDeep(each, left - 1));
}

/** In front of a native sidecar they are native too: a Job ends, and the app starts when its store can be used. */
function brought(
  pod: Pod,
  plan: SidecarPlan,
  all: readonly Brought[],
): { readonly pod: Pod; readonly plan: SidecarPlan } {
  const { spec } = pod;
  const containers = all.map(({ container }) => (plan.native ? { ...container, restartPolicy: "Always" } : container));
  const placed = plan.native
    ? { initContainers: (spec.initContainers ?? []).toSpliced(sidecarPlace(spec, plan.pluggable), 0, ...containers) }
    : { containers: [...spec.containers, ...containers] };
  const present = new Set((spec.volumes ?? []).map(({ name }) => name));
  const wanted = new Set(containers.flatMap(({ volumeMounts }) => (volumeMounts ?? []).map(({ name }) => name)));
  const missing = [...wanted.difference(present)].map((name) => ({ name, emptyDir: {} }));
  const volumes = [...(spec.volumes ?? []), ...missing];
  const parts = [...containers.map(({ name }) => `container/${name}`), ...missing.map(({ name }) => `volume/${name}`)];
  const annotations = { ...pod.metadata?.annotations, [INJECTED_COMPONENTS]: parts.join(",") };
  const names = new Set([...plan.pluggable.names, ...containers.map(({ name }) => name)]);
  return {
    pod: {
      ...pod,
      metadata: { ...pod.metadata, annotations },
      spec: { ...spec, ...placed, ...(volumes.length === 0 ? {} : { volumes }) },
    },
    plan: { ...plan, volumes, pluggable: { ...plan.pluggable, names } },
  };
}

function ofComponent(component: string, what: string): Denial {
  return denial(`Component ${component}, ${COMPONENT_CONTAINER}: ${what}`);
}

function denial(detail: string): Denial {
  return { reason: "component-container", detail };
}
