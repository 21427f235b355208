// Everything that the operator watches: the resources of dapr.io, and the metadata of pods. Judges nothing.
import { boundedContainer } from "./component-containers.ts";
import { boundedContent, type ResourceObject } from "./components/manifest.ts";
import type { Cache } from "./kube/cache.ts";
import type { KubeContext } from "./kube/context.ts";
import type { KubeObject } from "./kube/object.ts";
import { Reflector } from "./kube/reflector.ts";

export interface Watches {
  readonly components: Cache<ResourceObject>;
  readonly resiliencies: Cache<ResourceObject>;
  readonly configurations: Cache<ResourceObject>;
  /** Names, labels and annotations; no spec. */
  readonly pods: Cache<KubeObject>;
  readonly synced: boolean;
  /** What was not listed yet, or null. */
  waitsFor(): string | null;
  /** The longest that one of them had no sign of life, in milliseconds. */
  stalledForMs(): number;
  close(): Promise<void>;
}

const DAPR_API = "dapr.io/v1alpha1";
/** What is kept of a pod's annotations and labels. */
const OF_US = /^(dapr\.io|pannier\.io)\//;

/** Begins to watch. `namespaces` empty: all. */
export function watchResources(context: KubeContext, namespaces: readonly string[]): Watches {
  const resource = (plural: string): Reflector<ResourceObject> =>
    new Reflector<ResourceObject>(context, {
      apiVersion: DAPR_API,
      plural,
      namespaces,
      trim: (object) => {
        const metadata = { ...bareMeta(object.metadata), ...boundedContainer(object.metadata) };
        return { metadata, ...boundedContent(object) };
      },
    });
  const components = resource("components");
  const resiliencies = resource("resiliencies");
  const configurations = resource("configurations");
  const pods = new Reflector<KubeObject>(context, {
    apiVersion: "v1",
    plural: "pods",
    namespaces,
    metadataOnly: true,
    trim: ({ metadata }) => ({ metadata: { ...bareMeta(metadata), ...ownOf(metadata) } }),
  });
  const all = { components, resiliencies, configurations, pods };
  for (const reflector of Object.values(all)) reflector.start();
  return {
    components: components.cache,
    resiliencies: resiliencies.cache,
    configurations: configurations.cache,
    pods: pods.cache,
    get synced() {
      return Object.values(all).every(({ cache }) => cache.synced);
    },
    waitsFor: () => Object.entries(all).find(([, { cache }]) => !cache.synced)?.[0] ?? null,
    stalledForMs: () => Math.max(...Object.values(all).map((reflector) => reflector.stalledForMs())),
    close: async () => void (await Promise.all(Object.values(all).map((reflector) => reflector.close()))),
  };
}

/** Without managedFields and without annotations: `kubectl apply` repeats the whole manifest in one. */
function bareMeta(metadata: KubeObject["metadata"]): KubeObject["metadata"] {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp } = metadata;
  return {
    name,
    uid,
    resourceVersion,
    ...(namespace === undefined ? {} : { namespace }),
    ...(generation === undefined ? {} : { generation }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
  };
}

function ownOf({
  labels = {},
  annotations = {},
}: KubeObject["metadata"]): Pick<KubeObject["metadata"], "labels" | "annotations"> {
  return { labels: own(labels), annotations: own(annotations) };
}

function own(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(texts).filter(([name]) => OF_US.test(name)));
}
