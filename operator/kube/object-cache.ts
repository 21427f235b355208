// The Cache that reflectors fill: newest objects by namespace and name, and who is told of changes. Asks no server.
import type { Log } from "#kit/log.ts";
import type { OperatorMetrics } from "../metrics.ts";
import type { Cache, ChangeListener } from "./cache.ts";
import { type KubeObject, keyOf, type ObjectKey, splitKey } from "./object.ts";

export interface ObjectCacheOptions {
  /** The plural, for logs and metrics. */
  readonly resource: string;
  /** What is listed apart: the namespaces, or one "" that stands for all. */
  readonly parts: readonly string[];
  readonly log: Log;
  readonly metrics: OperatorMetrics;
}

export class ObjectCache<T extends KubeObject> implements Cache<T> {
  readonly #options: ObjectCacheOptions;
  readonly #byNamespace = new Map<string, Map<string, T>>();
  readonly #listeners = new Set<ChangeListener<T>>();
  /** Parts that were never listed. */
  readonly #missing: Set<string>;
  #count = 0;

  constructor(options: ObjectCacheOptions) {
    this.#options = options;
    this.#missing = new Set(options.parts);
  }

  get synced(): boolean {
    return this.#missing.size === 0;
  }

  get(key: ObjectKey): T | undefined {
    const { namespace, name } = splitKey(key);
    return this.#byNamespace.get(namespace)?.get(name);
  }

  *all(namespace?: string): Generator<T> {
    if (namespace !== undefined) yield* this.#byNamespace.get(namespace)?.values() ?? [];
    else for (const objects of this.#byNamespace.values()) yield* objects.values();
  }

  onChange(listener: ChangeListener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All objects of a part as they are now: what is not among them is gone. Tells only what differs. */
  replace(part: string, objects: readonly T[]): void {
    const listed = new Set(objects.map(keyOf));
    const gone = [...this.all(part === "" ? undefined : part)].map(keyOf).filter((key) => !listed.has(key));
    for (const key of gone) this.remove(key);
    for (const object of objects) this.put(object);
    this.#missing.delete(part);
    this.#options.metrics.cached(this.#options.resource, this.#count);
  }

  /** Frozen from here on. The one that is there already, by uid and version, is kept and not told. */
  put(object: T): void {
    const { namespace = "", name } = object.metadata;
    const objects = this.#byNamespace.get(namespace) ?? new Map<string, T>();
    const before = objects.get(name);
    if (before !== undefined && isSame(before, object)) return;
    this.#byNamespace.set(namespace, objects);
    objects.set(name, deepFreeze(object));
    if (before === undefined) this.#counted(1);
    this.#tell(keyOf(object), object, before);
  }

  remove(key: ObjectKey): void {
    const { namespace, name } = splitKey(key);
    const objects = this.#byNamespace.get(namespace);
    const before = objects?.get(name);
    if (objects === undefined || before === undefined) return;
    objects.delete(name);
    if (objects.size === 0) this.#byNamespace.delete(namespace);
    this.#counted(-1);
    this.#tell(key, undefined, before);
  }

  #counted(more: number): void {
    this.#count += more;
    this.#options.metrics.cached(this.#options.resource, this.#count);
  }

  /** A listener that throws ends neither the others nor the watch. */
  #tell(key: ObjectKey, now: T | undefined, before: T | undefined): void {
    for (const listener of this.#listeners) {
      try {
        listener(key, now, before);
      } catch (error) {
        const { log, resource } = this.#options;
        log.error("a listener of the cache threw", { resource, key, error: String(error) });
      }
    }
  }
}

function isSame(left: KubeObject, right: KubeObject): boolean {
  return left.metadata.uid === right.metadata.uid && left.metadata.resourceVersion === right.metadata.resourceVersion;
}

/** All readers share one object: nobody changes it for the others. */
function deepFreeze<T extends object>(value: T): T {
  if (Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) {
    if (typeof member === "object" && member !== null) deepFreeze(member);
  }
  return value;
}
