// What readers of watched objects see: the newest of each, and every change. The reflector fills it.
import type { KubeObject, ObjectKey } from "./object.ts";

/** `now` undefined: it is gone. `before` undefined: it is new. */
export type ChangeListener<T> = (key: ObjectKey, now: T | undefined, before: T | undefined) => void;

export interface Cache<T extends KubeObject> {
  /** Everything was listed at least once. */
  readonly synced: boolean;
  get(key: ObjectKey): T | undefined;
  /** Of one namespace, or all. */
  all(namespace?: string): Iterable<T>;
  /** Told each change after it is in the cache, in order; what the cache holds already is not told. Gives its end. */
  onChange(listener: ChangeListener<T>): () => void;
}
