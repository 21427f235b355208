// Objects of the cluster as the manifests that sidecars are given: without what only the API server needs. Pure.
import { API_VERSION } from "#crds/component.ts";
import type { ResourceKind } from "#crds/distribution.ts";
import type { KubeObject } from "../kube/object.ts";

/** A Component, Resiliency or Configuration as the API server gives it; nothing in it is checked yet. */
export interface ResourceObject extends KubeObject {
  readonly spec?: unknown;
  readonly auth?: unknown;
  readonly scopes?: unknown;
  readonly status?: unknown;
}

/**
 * Of `metadata` only name, namespace, uid and generation stay: the rest changes without the resource (each write of
 * status is a new resourceVersion), or repeats it (the annotation of `kubectl apply`), passwords in it included.
 */
export function manifestOf(object: ResourceObject, kind: ResourceKind): Readonly<Record<string, unknown>> {
  const { metadata, status: _status, apiVersion: _apiVersion, kind: _kind, ...rest } = object;
  const { name, namespace = "", uid, generation = 0 } = metadata;
  return Object.freeze({
    apiVersion: API_VERSION,
    kind,
    metadata: Object.freeze({ name, namespace, uid, generation }),
    ...rest,
  });
}
