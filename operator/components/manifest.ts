// Objects of the cluster as the manifests that sidecars are given: without what only the API server needs. Pure.
import { API_VERSION } from "#crds/component.ts";
import type { ResourceKind } from "#crds/distribution.ts";
import type { Fault } from "#kit/fault.ts";
import type { KubeObject } from "../kube/object.ts";

/** A Component, Resiliency or Configuration as the API server gives it; nothing in it is checked yet. */
export interface ResourceObject extends KubeObject {
  readonly spec?: unknown;
  readonly auth?: unknown;
  readonly scopes?: unknown;
  readonly status?: unknown;
  /** Set for one that is larger than {@link RESOURCE_BYTES_MAX}: of its spec only the type is there. */
  readonly oversizedBytes?: number;
}

/** Largest spec, auth and scopes of a resource that is kept, in bytes of JSON: all of them together fill the memory. */
export const RESOURCE_BYTES_MAX: number = 256 * 1024;

/** What is kept of a resource, its metadata apart. */
export function boundedContent({ spec, auth, scopes, status }: ResourceObject): Omit<ResourceObject, "metadata"> {
  const content = {
    ...(spec === undefined ? {} : { spec }),
    ...(auth === undefined ? {} : { auth }),
    ...(scopes === undefined ? {} : { scopes }),
  };
  const bytes = Buffer.byteLength(JSON.stringify(content));
  const shown = status === undefined ? {} : { status };
  if (bytes <= RESOURCE_BYTES_MAX) return { ...content, ...shown };
  const type = typeof spec === "object" && spec !== null && "type" in spec ? spec.type : "";
  return { spec: { type: String(type).slice(0, TYPE_MAX) }, oversizedBytes: bytes, ...shown };
}

const TYPE_MAX = 100;

/** Why one that is too large is not taken over. */
export function oversizeFault(bytes: number): Fault {
  const hint = "sidecars keep what they had before; move large values into Secrets or ConfigMaps of the app";
  return { severity: "error", field: "spec", got: `${bytes} bytes`, want: `at most ${RESOURCE_BYTES_MAX} bytes`, hint };
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
