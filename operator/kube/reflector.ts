// A Cache of one resource, kept current from an API server: over all namespaces, or over some, each listed and watched
// apart. Knows no kind: what is kept of an object is up to `trim`.
import type { Cache } from "./cache.ts";
import type { KubeContext } from "./context.ts";
import { ListWatch, RELIST_MS } from "./list-watch.ts";
import type { KubeObject } from "./object.ts";
import { ObjectCache } from "./object-cache.ts";
import { pathOf } from "./paths.ts";

export interface Reflected<T extends KubeObject> {
  /** "v1", "dapr.io/v1alpha1" … */
  readonly apiVersion: string;
  /** "pods", "components" … */
  readonly plural: string;
  /** Empty for all, and for what is not namespaced. */
  readonly namespaces: readonly string[];
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Only apiVersion, kind (both of PartialObjectMetadata) and metadata are asked for. */
  readonly metadataOnly?: boolean;
  /**
   * Makes what is kept out of what came: drop all that nobody reads. Its result is frozen, deeply. When it throws, that
   * is logged and this version of the object is not taken in.
   */
  readonly trim: (object: KubeObject & Readonly<Record<string, unknown>>) => T;
  /** RELIST_MS by default, in milliseconds. */
  readonly relistMs?: number;
}

/** A namespace's name cannot be empty: it stands for all of them. */
const ALL_NAMESPACES = "";

export class Reflector<T extends KubeObject> {
  readonly cache: Cache<T>;
  readonly #loops: readonly ListWatch<T>[];

  constructor(context: KubeContext, reflected: Reflected<T>) {
    const { apiVersion, plural, metadataOnly = false, trim, relistMs = RELIST_MS } = reflected;
    const parts = reflected.namespaces.length === 0 ? [ALL_NAMESPACES] : [...new Set(reflected.namespaces)];
    const cache = new ObjectCache<T>({ resource: plural, parts, log: context.log, metrics: context.metrics });
    this.cache = cache;
    this.#loops = parts.map(
      (namespace) =>
        new ListWatch(context, {
          resource: plural,
          path: pathOf({ apiVersion, plural, namespace }),
          query: selectorsOf(reflected),
          metadataOnly,
          trim,
          relistMs,
          sink: {
            replace: (objects) => cache.replace(namespace, objects),
            put: (object) => cache.put(object),
            remove: (key) => cache.remove(key),
          },
        }),
    );
  }

  /** Begins to list and watch; called once. The cache says when it is synced. */
  start(): void {
    for (const loop of this.#loops) loop.start();
  }

  /**
   * The longest that one of its loops has had no sign of life from the API server, in milliseconds. It grows while the
   * server is away or refuses us; on a quiet resource it stays below WATCH_SILENCE_MAX_MS.
   */
  stalledForMs(): number {
    return Math.max(...this.#loops.map((loop) => loop.stalledForMs()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#loops.map((loop) => loop.close()));
  }
}

function selectorsOf({
  labelSelector,
  fieldSelector,
}: Pick<Reflected<KubeObject>, "labelSelector" | "fieldSelector">): Readonly<Record<string, string>> {
  return {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
}
