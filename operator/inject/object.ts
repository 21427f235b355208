// The parts of a pod that injection reads or writes, and whether a value is such a pod at all. Everything else of it
// passes through untouched. Knows no rule.

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly [member: string]: unknown;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly [member: string]: unknown;
}

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly hostPort?: number;
  readonly protocol?: string;
}

/** A list may be absent or null: both are no items. */
type List<T> = readonly T[] | null;

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly args?: List<string>;
  readonly env?: List<EnvVar>;
  readonly ports?: List<ContainerPort>;
  readonly volumeMounts?: List<VolumeMount>;
  readonly [member: string]: unknown;
}

export interface Volume {
  readonly name: string;
  readonly [member: string]: unknown;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: List<Container>;
  readonly volumes?: List<Volume>;
  readonly hostNetwork?: boolean;
  readonly dnsPolicy?: string;
  readonly restartPolicy?: string;
  readonly os?: { readonly name?: string } | null;
  readonly [member: string]: unknown;
}

export interface PodMeta {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly [member: string]: unknown;
}

/** Also the template of a Deployment and its like. */
export interface Pod {
  readonly metadata?: PodMeta | null;
  readonly spec: PodSpec;
  readonly [member: string]: unknown;
}

type Mapping = Readonly<Record<string, unknown>>;

export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `metadata.annotations` of what may be a pod; empty where there are none that can be read. */
export function annotationsOf(value: unknown): Mapping {
  const metadata = isMapping(value) ? value.metadata : undefined;
  const annotations = isMapping(metadata) ? metadata.annotations : undefined;
  return isMapping(annotations) ? annotations : {};
}

/** The value as a pod, or what is wrong with it, as "spec.containers: want a list …". */
export function readPod(value: unknown): { readonly pod: Pod } | { readonly wrong: string } {
  if (!isMapping(value)) return { wrong: "want a mapping" };
  const { metadata, spec } = value;
  if (!isAbsent(metadata) && !isMapping(metadata)) return { wrong: "metadata: want a mapping" };
  const labels = isMapping(metadata) ? metadata.labels : null;
  if (!isAbsent(labels) && !isMapping(labels)) return { wrong: "metadata.labels: want a mapping" };
  if (!isMapping(spec)) return { wrong: "spec: want a mapping" };
  const wrong =
    wrongList("spec.containers", spec.containers ?? [], wrongContainer) ??
    wrongList("spec.initContainers", spec.initContainers, wrongContainer) ??
    wrongList("spec.volumes", spec.volumes, wrongName);
  if (wrong !== null) return { wrong };
  if (!Array.isArray(spec.containers) || spec.containers.length === 0)
    return { wrong: "spec.containers: want a list of at least one container" };
  // Checked above: the members that Pod names have the types that it gives them.
  return { pod: value as unknown as Pod };
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function wrongList(path: string, value: unknown, check: (path: string, item: Mapping) => string | null): string | null {
  if (isAbsent(value)) return null;
  if (!Array.isArray(value)) return `${path}: want a list`;
  for (const [index, item] of value.entries()) {
    const at = `${path}[${index}]`;
    const wrong = isMapping(item) ? check(at, item) : `${at}: want a mapping`;
    if (wrong !== null) return wrong;
  }
  return null;
}

function wrongName(path: string, { name }: Mapping): string | null {
  return typeof name === "string" ? null : `${path}.name: want text`;
}

function wrongContainer(path: string, container: Mapping): string | null {
  return (
    wrongName(path, container) ??
    wrongList(`${path}.env`, container.env, wrongName) ??
    wrongList(`${path}.volumeMounts`, container.volumeMounts, wrongMount) ??
    wrongList(`${path}.ports`, container.ports, wrongPort) ??
    wrongArguments(`${path}.args`, container.args)
  );
}

/** What is wrong with a container that stands alone, as "container.env: want a list", or null. */
export function containerFault(container: Mapping): string | null {
  return wrongContainer("container", container);
}

function wrongMount(path: string, mount: Mapping): string | null {
  return typeof mount.mountPath === "string" ? wrongName(path, mount) : `${path}.mountPath: want text`;
}

function wrongPort(path: string, { containerPort }: Mapping): string | null {
  return typeof containerPort === "number" ? null : `${path}.containerPort: want a number`;
}

function wrongArguments(path: string, value: unknown): string | null {
  const isGood = isAbsent(value) || (Array.isArray(value) && value.every((each) => typeof each === "string"));
  return isGood ? null : `${path}: want a list of texts`;
}
