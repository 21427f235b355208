// Takes out of a pod what injection put in. What it cannot tell from the author's own: a variable of the same name and
// value that stood there before goes too, and so does a list that is empty afterwards.
import { INJECTED_BY, LABELS_BEFORE } from "#crds/annotations.ts";
import { SIDECAR_NAME } from "./container.ts";
import { annotationsOf, type Container, type Pod, type PodMeta, readPod } from "./object.ts";
import { findSidecar } from "./pod.ts";
import { IDENTITY_VOLUME, SOCKET_VOLUME } from "./volumes.ts";

export type Removal =
  | { readonly outcome: "removed"; readonly pod: Pod }
  /** It has no mark of ours, or cannot be read as a pod. */
  | { readonly outcome: "nothing" | "no-pod"; readonly sentence: string };

const LABELS = ["dapr.io/sidecar-injected", "dapr.io/app-id", "dapr.io/metrics-enabled"];

/** The pod without its sidecar; only one that carries our mark is changed, and its annotations are left for the next time. */
export function uninject(value: unknown): Removal {
  if (!(INJECTED_BY in annotationsOf(value))) return { outcome: "nothing", sentence: `it has no ${INJECTED_BY}` };
  const read = readPod(value);
  if ("wrong" in read) return { outcome: "no-pod", sentence: read.wrong };
  const { pod } = read;
  const values = appValues(findSidecar(pod)?.container.args ?? []);
  const clean = (containers: readonly Container[] | null | undefined): readonly Container[] =>
    (containers ?? []).filter(({ name }) => name !== SIDECAR_NAME).map((each) => cleanContainer(each, values));
  const { metadata, spec } = pod;
  const volumes = (spec.volumes ?? []).filter(({ name }) => name !== IDENTITY_VOLUME && name !== SOCKET_VOLUME);
  return {
    outcome: "removed",
    pod: {
      ...pod,
      metadata: replaced(metadata ?? {}, {
        labels: labelsBefore(metadata ?? {}),
        annotations: without(metadata?.annotations ?? {}, [INJECTED_BY, LABELS_BEFORE]),
      }),
      spec: {
        ...replaced(spec, { volumes, initContainers: clean(spec.initContainers) }),
        containers: clean(spec.containers),
      },
    },
  };
}

/** Ours are gone, but for those that the author had set himself: the mark has them as they were. */
function labelsBefore({ labels, annotations }: PodMeta): Record<string, string> {
  const entries = (annotations?.[LABELS_BEFORE] ?? "").split(",").map((entry) => {
    const [name = "", value = ""] = entry.split("=");
    return [name, value] as const;
  });
  const own = Object.fromEntries(entries.filter(([name]) => LABELS.includes(name)));
  return { ...without(labels ?? {}, LABELS), ...own };
}

/** What the app's containers were told, by the sidecar's own arguments: defaults may have been others then. */
function appValues(args: readonly string[]): ReadonlyMap<string, string | undefined> {
  const after = (flag: string): string | undefined => {
    const at = args.indexOf(flag);
    return at < 0 ? undefined : args[at + 1];
  };
  return new Map([
    ["DAPR_HTTP_PORT", after("--dapr-http-port")],
    ["DAPR_GRPC_PORT", after("--dapr-grpc-port")],
    ["APP_PROTOCOL", after("--app-protocol")],
  ]);
}

function cleanContainer(container: Container, values: ReadonlyMap<string, string | undefined>): Container {
  const env = (container.env ?? []).filter(({ name, value }) => value === undefined || values.get(name) !== value);
  const volumeMounts = (container.volumeMounts ?? []).filter(({ name }) => name !== SOCKET_VOLUME);
  return replaced(container, { env, volumeMounts });
}

/** `object` with these members; one that has become empty is left out, one that was not there stays so. */
function replaced<T extends object>(object: T, members: Readonly<Record<string, object>>): T {
  const entries = Object.entries(object).flatMap(([name, value]): [string, unknown][] => {
    const member = members[name];
    if (member === undefined) return [[name, value]];
    return Object.keys(member).length === 0 ? [] : [[name, member]];
  });
  // The same members of the same types, some of them left out that may be.
  return Object.fromEntries(entries) as T;
}

function without(mapping: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(mapping).filter(([name]) => !names.includes(name)));
}
