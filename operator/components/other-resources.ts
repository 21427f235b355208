// Hands Resiliencies and Configurations on to the sidecars as they are. Says by an Event what is wrong with a Resiliency;
// decides nothing by it: a sidecar that cannot use one keeps its last good one.
import { API_VERSION } from "#crds/component.ts";
import type { ResourceKind } from "#crds/distribution.ts";
import { parseResiliency } from "#crds/resiliency.ts";
import { describeFault, type Fault } from "#kit/fault.ts";
import type { Cache } from "../kube/cache.ts";
import type { Events } from "../kube/events.ts";
import { splitKey } from "../kube/object.ts";
import { manifestOf, oversizeFault, type ResourceObject } from "./manifest.ts";
import type { ResourceTable } from "./resource-table.ts";
import { cut } from "./status.ts";

export interface OtherResourcesContext {
  readonly resiliencies: Cache<ResourceObject>;
  readonly configurations: Cache<ResourceObject>;
  readonly table: ResourceTable;
  readonly events: Events;
  /** Whether this replica leads. */
  readonly mayWrite: () => boolean;
}

export interface OtherResources {
  /** For a replica that begins to lead: what is wrong may have come while nobody did. */
  tellAll(): void;
  end(): void;
}

/** Fills the table from both caches, and follows them. */
export function followOtherResources(context: OtherResourcesContext): OtherResources {
  const ends = [follow("Resiliency", context.resiliencies), follow("Configuration", context.configurations)];
  return {
    tellAll: () => {
      for (const object of context.resiliencies.all()) tell("Resiliency", object, put("Resiliency", object));
    },
    end: () => {
      for (const end of ends) end();
    },
  };

  function follow(kind: Exclude<ResourceKind, "Component">, cache: Cache<ResourceObject>): () => void {
    for (const object of cache.all()) put(kind, object);
    return cache.onChange((key, now, before) => {
      const { namespace, name } = splitKey(key);
      if (now === undefined) return context.table.remove(kind, namespace, name);
      const faults = put(kind, now);
      if (now.metadata.generation !== before?.metadata.generation) tell(kind, now, faults);
    });
  }

  function put(kind: Exclude<ResourceKind, "Component">, object: ResourceObject): readonly Fault[] {
    // What sidecars were given before stays in the table.
    if (object.oversizedBytes !== undefined) return [oversizeFault(object.oversizedBytes)];
    const resource = manifestOf(object, kind);
    const parsed = kind === "Resiliency" ? parseResiliency(resource) : null;
    const { name, namespace = "" } = object.metadata;
    // A Configuration has no scopes: the pods that name it have it.
    context.table.set({ kind, namespace, name, scopes: parsed?.draft.scopes ?? [], resource, secrets: [] });
    return parsed?.faults ?? [];
  }

  function tell(kind: ResourceKind, object: ResourceObject, faults: readonly Fault[]): void {
    const errors = faults.filter(({ severity }) => severity === "error");
    if (errors.length === 0 || !context.mayWrite()) return;
    const about = { ...object, apiVersion: API_VERSION, kind };
    const note = cut(errors.map(describeFault).join("; "));
    context.events.tell({ about, type: "Warning", reason: "Invalid", action: "Reconcile", note });
  }
}
