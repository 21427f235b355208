// The annotation by which a Component names the container that serves it: what of it is kept, and what the injector gets of
// a namespace. Reads no container.
import { COMPONENT_CONTAINER } from "#crds/annotations.ts";
import type { ResourceObject } from "./components/manifest.ts";
import type { ComponentContainer } from "./inject/settings.ts";
import type { Cache } from "./kube/cache.ts";
import type { KubeObject, ObjectMeta } from "./kube/object.ts";

/** Of the annotation's value in characters: one that is longer is cut, and can be read by nobody. */
export const CONTAINER_KEPT_MAX = 16_385;

/** What is kept of an object's annotations. */
export function boundedContainer({ annotations }: KubeObject["metadata"]): Pick<ObjectMeta, "annotations"> {
  const text = annotations?.[COMPONENT_CONTAINER];
  return text === undefined ? {} : { annotations: { [COMPONENT_CONTAINER]: text.slice(0, CONTAINER_KEPT_MAX) } };
}

/** Null while not all Components were listed: one that is missing would be missing in the pod for good. */
export function containersIn(
  components: Cache<ResourceObject>,
  namespace: string,
): readonly ComponentContainer[] | null {
  if (!components.synced) return null;
  const found: ComponentContainer[] = [];
  for (const { metadata, scopes, oversizedBytes } of components.all(namespace)) {
    const text = metadata.annotations?.[COMPONENT_CONTAINER];
    // One that is too large is not handed on either, and its scopes were not kept.
    if (text !== undefined && oversizedBytes === undefined)
      found.push({ component: metadata.name, scopes: textsOf(scopes), text });
  }
  return found;
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}
