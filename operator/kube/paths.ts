// Where an API server keeps a resource. Knows no resource by name.

export interface ResourcePlace {
  /** "v1", "dapr.io/v1alpha1" … */
  readonly apiVersion: string;
  /** "pods", "components" … */
  readonly plural: string;
  /** Absent for what is not namespaced, and for a list over all namespaces. */
  readonly namespace?: string | undefined;
  /** Absent for the collection. */
  readonly name?: string;
  readonly subresource?: string;
}

/** The path of a collection, an object or its subresource, percent-encoded. */
export function pathOf({ apiVersion, plural, namespace, name, subresource }: ResourcePlace): string {
  const parts = [apiVersion.includes("/") ? "/apis" : "/api", apiVersion];
  if (namespace !== undefined && namespace !== "") parts.push("namespaces", encodeURIComponent(namespace));
  parts.push(plural);
  if (name !== undefined) parts.push(encodeURIComponent(name));
  if (subresource !== undefined) parts.push(subresource);
  return parts.join("/");
}
