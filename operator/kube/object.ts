// The part of every object of Kubernetes that the operator goes by, and its key. Knows no kind.

export interface ObjectMeta {
  readonly name: string;
  /** Absent for what is not namespaced. */
  readonly namespace?: string;
  readonly uid: string;
  /** Opaque: compared for equality and never by order. */
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** `namespace/name` */
export type ObjectKey = string;

export function keyOf({ metadata }: KubeObject): ObjectKey {
  return objectKey(metadata.namespace ?? "", metadata.name);
}

export function objectKey(namespace: string, name: string): ObjectKey {
  return `${namespace}/${name}`;
}

export function splitKey(key: ObjectKey): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
