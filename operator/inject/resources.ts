// What the sidecar asks for of CPU and memory: annotations before settings, and settings only where the pod does not say
// itself what it has as a whole (`spec.resources`, Kubernetes 1.34 and later). Knows no other part of the container.
import { type Quantity, readQuantity } from "#crds/annotation-values.ts";
import type { AnnotationSettings } from "#crds/annotations.ts";
import { type Container, isMapping, type PodSpec } from "./object.ts";
import type { SidecarResources } from "./settings.ts";

export const AMOUNTS = ["cpu", "memory"] as const;
export type Amount = (typeof AMOUNTS)[number];

export interface Bounds {
  readonly request: Quantity | null;
  readonly limit: Quantity | null;
}

export type Resources = Readonly<Record<Amount, Bounds>>;

/** What the pod has as a whole. */
export function podResources({ resources }: PodSpec): Resources {
  return { cpu: boundsOf(resources, "cpu"), memory: boundsOf(resources, "memory") };
}

/**
 * What containers of the pod that run together with the sidecar request of an amount. No more than what the API server
 * counts: it adds what an init container needs for a time.
 */
export function requested(containers: readonly Container[], amount: Amount): number {
  const amounts = containers.map(({ resources }) => boundsOf(resources, amount).request?.amount ?? 0);
  return amounts.filter(Number.isFinite).reduce((sum, each) => sum + each, 0);
}

function boundsOf(resources: unknown, amount: Amount): Bounds {
  const read = (list: "requests" | "limits"): Quantity | null => {
    const amounts = isMapping(resources) ? resources[list] : undefined;
    const value = isMapping(amounts) ? amounts[amount] : undefined;
    if (value === undefined || value === null) return null;
    const text = typeof value === "object" ? "" : String(value);
    // One that cannot be read bounds nothing here: the API server refuses it.
    return readQuantity(text) ?? { text, amount: Number.POSITIVE_INFINITY };
  };
  return { request: read("requests"), limit: read("limits") };
}

/** Whether the pod as a whole has some of it. The containers' requests must fit in, so ours are not for us to make up. */
export function isShared({ request, limit }: Bounds): boolean {
  return request !== null || limit !== null;
}

interface Sources {
  readonly annotations: AnnotationSettings;
  readonly settings: SidecarResources;
  readonly pod: Resources;
}

/** What annotations say, else the settings; of a setting and an annotation that contradict each other the setting gives way. */
export function effectiveResources({ annotations, settings, pod }: Sources): Resources {
  const asked: Resources = {
    cpu: { request: annotations["sidecar-cpu-request"], limit: annotations["sidecar-cpu-limit"] },
    memory: { request: annotations["sidecar-memory-request"], limit: annotations["sidecar-memory-limit"] },
  };
  const preset: Resources = {
    cpu: { request: settings.cpuRequest, limit: settings.cpuLimit },
    memory: { request: settings.memoryRequest, limit: settings.memoryLimit },
  };
  const one = (amount: Amount): Bounds =>
    isShared(pod[amount]) ? asked[amount] : settle(asked[amount], preset[amount]);
  return { cpu: one("cpu"), memory: one("memory") };
}

function settle(asked: Bounds, preset: Bounds): Bounds {
  const request = asked.request ?? preset.request;
  const limit = asked.limit ?? preset.limit;
  if (request === null || limit === null || request.amount <= limit.amount) return { request, limit };
  return asked.limit === null ? { request, limit: request } : { request: asked.request ?? limit, limit };
}

/** The container's member `resources`; none where there is nothing to say. */
export function resourcesMember({ cpu, memory }: Resources): object {
  const part = (which: "request" | "limit") =>
    Object.fromEntries(
      [
        ["cpu", cpu[which]?.text],
        ["memory", memory[which]?.text],
      ].filter(([, text]) => text !== undefined),
    );
  const members = [
    ["limits", part("limit")],
    ["requests", part("request")],
  ].filter(([, amounts]) => Object.keys(amounts ?? {}).length > 0);
  return members.length === 0 ? {} : { resources: Object.fromEntries(members) };
}
