// Where pods stand in the manifests of Kubernetes: pods themselves, the templates of what makes pods, and lists of both.
// Knows nothing of what is done to a pod.

type Mapping = Readonly<Record<string, unknown>>;

/** The kinds that hold a pod, with the way to it; an empty way is the object itself. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  PodTemplate: ["template"],
  ReplicationController: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
};

/** A pod in a manifest. */
export interface FoundPod {
  /** As people call it: "Deployment shop/orders". */
  readonly title: string;
  /** Of the object around it; null where it does not say. */
  readonly namespace: string | null;
  readonly pod: unknown;
  /** Annotations of the object around it; none for a pod that stands alone. */
  readonly outer: Mapping;
}

/** Gives what takes the pod's place: the pod itself when nothing changes. */
export type ChangePod = (found: FoundPod) => unknown;

/** The object with each of its pods changed; the object itself when none of them was. */
export function changePods(object: unknown, change: ChangePod): unknown {
  if (!isMapping(object) || typeof object.kind !== "string") return object;
  if (object.kind === "List" || (object.kind.endsWith("List") && Array.isArray(object.items)))
    return changeItems(object, change);
  const way = Object.hasOwn(WAYS, object.kind) ? WAYS[object.kind] : undefined;
  if (way === undefined) return object;
  const metadata = isMapping(object.metadata) ? object.metadata : {};
  const namespace = typeof metadata.namespace === "string" && metadata.namespace !== "" ? metadata.namespace : null;
  const title = titleOf(object, object.kind);
  const outer = way.length > 0 && isMapping(metadata.annotations) ? metadata.annotations : {};
  return changeAt(object, way, (pod) => change({ title, namespace, pod, outer }));
}

/**
 * What `changePods` passes over though an annotation of `marks` stands in it: an Argo Rollout, a Knative Service, an
 * object annotated by mistake. Gives for each how people call it, and the first annotation.
 */
export function passedOver(object: unknown, marks: readonly string[]): { title: string; mark: string }[] {
  if (!isMapping(object)) return [];
  if (Array.isArray(object.items)) return object.items.flatMap((item: unknown) => passedOver(item, marks));
  if (typeof object.kind !== "string" || Object.hasOwn(WAYS, object.kind)) return [];
  const mark = marks.find((each) => isAnnotated(object, each));
  return mark === undefined ? [] : [{ title: titleOf(object, object.kind), mark }];
}

function isAnnotated(value: unknown, key: string): boolean {
  if (Array.isArray(value)) return value.some((each) => isAnnotated(each, key));
  if (!isMapping(value)) return false;
  if (isMapping(value.annotations) && Object.hasOwn(value.annotations, key)) return true;
  return Object.values(value).some((each) => isAnnotated(each, key));
}

function titleOf({ metadata }: Mapping, kind: string): string {
  const { namespace, name, generateName } = isMapping(metadata) ? metadata : {};
  const place = typeof namespace === "string" && namespace !== "" ? `${namespace}/` : "";
  return `${kind} ${place}${String(name ?? generateName ?? "without a name")}`;
}

function changeItems(list: Mapping, change: ChangePod): unknown {
  if (!Array.isArray(list.items)) return list;
  // What `kubectl get pods -o json` prints leaves the kind of items out only where the list says it.
  const items = list.items.map((item: unknown) => changePods(item, change));
  return items.every((item, index) => item === (list.items as readonly unknown[])[index]) ? list : { ...list, items };
}

/** A way that ends too early holds no pod. */
function changeAt(value: unknown, way: readonly string[], change: (pod: unknown) => unknown): unknown {
  const [member, ...rest] = way;
  if (member === undefined) return change(value);
  if (!isMapping(value)) return value;
  const before = value[member];
  if (before === undefined) return value;
  const after = changeAt(before, rest, change);
  return after === before ? value : { ...value, [member]: after };
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
