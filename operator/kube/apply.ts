// Server-side apply of an object, or of its status: the fields that we name become ours, all others stay as they are.
import { type KubeClient, PATCH_TYPES } from "./client.ts";
import type { KubeObject } from "./object.ts";
import { pathOf } from "./paths.ts";

export interface Apply {
  /** What we want of it. Fields that we applied earlier and no longer name are taken away again. */
  readonly object: Manifest;
  /** "components", "configmaps" … */
  readonly plural: string;
  /** "pannier-status", "pannier-trust" … */
  readonly fieldManager: string;
  readonly subresource?: "status";
  /** `metadata.resourceVersion` of the object as last seen, null when it was not there. */
  readonly seenVersion: string | null;
  readonly signal?: AbortSignal;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    /** Refuses to make a new object in place of the one that was meant: then it is a Conflict. */
    readonly uid?: string;
  };
  readonly [field: string]: unknown;
}

export interface Applied {
  readonly object: KubeObject;
  /** Its version is another than `seenVersion`: an apply that changes nothing leaves the version as it is. */
  readonly changed: boolean;
}

/**
 * Applies with force: a field that somebody else owns becomes ours. An object that is not there is made, but never by
 * way of its status (a 404). Rejects with a KubeError.
 */
export async function apply(client: KubeClient, wanted: Apply): Promise<Applied> {
  const { object, plural, fieldManager, subresource, seenVersion, signal } = wanted;
  const { apiVersion, metadata } = object;
  const answer = await client.request<KubeObject>({
    method: "PATCH",
    path: pathOf({
      apiVersion,
      plural,
      namespace: metadata.namespace,
      name: metadata.name,
      ...(subresource === undefined ? {} : { subresource }),
    }),
    query: { fieldManager, force: "true" },
    contentType: PATCH_TYPES.apply,
    body: object,
    ...(signal === undefined ? {} : { signal }),
  });
  return { object: answer, changed: answer.metadata.resourceVersion !== seenVersion };
}
