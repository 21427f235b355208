// The namespaces that have a pod with a sidecar of ours: those need the trust bundle. Reads metadata of pods, writes nothing.
import { INJECTED_BY } from "#crds/annotations.ts";
import type { Cache } from "../kube/cache.ts";
import type { KubeObject } from "../kube/object.ts";

export class SidecarNamespaces {
  /** How many pods with a sidecar each namespace has; never 0. */
  readonly #pods = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #end: () => void;

  constructor(pods: Cache<KubeObject>) {
    for (const pod of pods.all()) this.#add(pod, 1);
    this.#end = pods.onChange((_key, now, before) => this.#follow(now, before));
  }

  current(): ReadonlySet<string> {
    return new Set(this.#pods.keys());
  }

  /** Told when a namespace joins or leaves. Gives its end. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#end();
  }

  #follow(now: KubeObject | undefined, before: KubeObject | undefined): void {
    const { size } = this.#pods;
    if (now !== undefined) this.#add(now, 1);
    if (before !== undefined) this.#add(before, -1);
    // A change concerns one namespace, so another set is one of another size.
    if (this.#pods.size !== size) for (const listener of this.#listeners) listener();
  }

  #add({ metadata }: KubeObject, count: 1 | -1): void {
    if (metadata.annotations?.[INJECTED_BY] === undefined) return;
    const namespace = metadata.namespace ?? "";
    const pods = (this.#pods.get(namespace) ?? 0) + count;
    if (pods === 0) this.#pods.delete(namespace);
    else this.#pods.set(namespace, pods);
  }
}
