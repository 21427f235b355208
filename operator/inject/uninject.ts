// Takes out of a pod what injection put in. What it cannot tell from the author's own: a variable of the same name and
// value that stood there before goes too, and so does a list that is empty afterwards.
import { INJECTED_BY, INJECTED_COMPONENTS, LABELS_BEFORE } from "#crds/annotations.ts";
import { SIDECAR_NAME } from "./container.ts";
import { annotationsOf, type Container, type Pod, type PodMeta, readPod } from "./object.ts";
import { broughtParts } from "./pluggable.ts";
import { findSidecar } from "./pod.ts";
import { COMPONENT_VARIABLE, COMPONENTS_VOLUME, IDENTITY_VOLUME, SOCKET_VOLUME } from "./volumes.ts";

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
  const told = toldValues(findSidecar(pod)?.container ?? null);
  const sockets = told.has(COMPONENT_VARIABLE) ? [SOCKET_VOLUME, COMPONENTS_VOLUME] : [SOCKET_VOLUME];
  const brought = broughtParts(pod);
  const gone = new Set([SIDECAR_NAME, ...brought.containers]);
  const clean = (containers: readonly Container[] | null | undefined): readonly Container[] =>
    (containers ?? []).filter(({ name }) => !gone.has(name)).map((each) => cleanContainer(each, told, sockets));
  const { metadata, spec } = pod;
  const emptied = new Set([IDENTITY_VOLUME, ...sockets, ...brought.volumes]);
  const volumes = (spec.volumes ?? []).filter(({ name }) => !emptied.has(name));
  return {
    outcome: "removed",
    pod: {
      ...pod,
      metadata: replaced(metadata ?? {}, {
        labels: labelsBefore(metadata ?? {}),
        annotations: without(metadata?.annotations ?? {}, [INJECTED_BY, LABELS_BEFORE, INJECTED_COMPONENTS]),
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

/** What other containers were told, by the sidecar's own arguments and variables: defaults may have been others then. */
function toldValues(sidecar: Container | null): ReadonlyMap<string, string | undefined> {
  const args = sidecar?.args ?? [];
  const after = (flag: string): string | undefined => {
    const at = args.indexOf(flag);
    return at < 0 ? undefined : args[at + 1];
  };
  const folder = (sidecar?.env ?? []).filter(({ name }) => name === COMPONENT_VARIABLE);
  return new Map([
    ["DAPR_HTTP_PORT", after("--dapr-http-port")],
    ["DAPR_GRPC_PORT", after("--dapr-grpc-port")],
    ["APP_PROTOCOL", after("--app-protocol")],
    ...folder.map(({ name, value }) => [name, value] as const),
  ]);
}

/** `told`: variables with the values that injection gave them; `sockets`: volumes of which it made mounts. */
function cleanContainer(
  container: Container,
  told: ReadonlyMap<string, string | undefined>,
  sockets: readonly string[],
): Container {
  const env = (container.env ?? []).filter(({ name, value }) => value === undefined || told.get(name) !== value);
  const volumeMounts = (container.volumeMounts ?? []).filter(({ name }) => !sockets.includes(name));
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
