// The Component resource: its shape, and the parse from any JSON value with all faults at once (dapr-state-api.md 5).
// Knows no YAML and no file: a field's path is in each fault, and whoever read the file knows the line.
import { parseGoDuration } from "#kit/duration.ts";
import { type Fault, hasErrors } from "#kit/fault.ts";
import { nearest } from "#kit/nearest.ts";
import { valueText } from "./json-text.ts";
import { type Member, MemberReader } from "./members.ts";

export const API_VERSION = "dapr.io/v1alpha1";
/** Dapr's default of `spec.initTimeout`, and what it takes instead of one that it cannot read. */
export const INIT_TIMEOUT_MS = 5000;
/** Longest `spec.initTimeout`, in milliseconds: a day. */
const INIT_TIMEOUT_MAX_MS = 24 * 3_600_000;

/** Where the value of a metadata entry comes from. */
export type ValueSource =
  | { readonly kind: "value"; readonly text: string }
  /** `key` is the secret's name when the manifest gives none. */
  | { readonly kind: "secret"; readonly name: string; readonly key: string }
  | { readonly kind: "env"; readonly variable: string };

export interface MetadataEntry {
  readonly name: string;
  readonly source: ValueSource;
  /** `spec.metadata[2]` */
  readonly path: string;
}

export interface Component {
  readonly name: string;
  /** Null when the manifest names none: then it is the sidecar's own. */
  readonly namespace: string | null;
  /** As written: "state.redis". */
  readonly type: string;
  /** As written; "" when absent. */
  readonly version: string;
  readonly ignoreErrors: boolean;
  readonly initTimeoutMs: number;
  readonly metadata: readonly MetadataEntry[];
  /** `auth.secretStore`, or null. */
  readonly secretStore: string | null;
  /** App ids that may use it; empty for all. */
  readonly scopes: readonly string[];
}

export interface ParsedComponent {
  /** Null when a fault is an error. */
  readonly component: Component | null;
  /** What could be read of it in spite of faults, to find more of them: broken values as ones that are not known. */
  readonly draft: Component;
  readonly faults: readonly Fault[];
}

/** The kinds that a resource folder is read for. */
const OWN_KINDS = ["Component", "Resiliency"] as const;

/** Kinds of Dapr that no store depends on, or that come from elsewhere. */
const OTHER_KINDS = ["Configuration", "HTTPEndpoint", "MCPServer", "Subscription", "WorkflowAccessPolicy"] as const;

/** What a document is: a Component, a Resiliency, something to pass over with a note, or a mistake. */
export type DocumentKind =
  | { readonly kind: "component" | "resiliency" }
  | { readonly kind: "other"; readonly note: string }
  | { readonly kind: "mistake"; readonly fault: Fault };

/** Decides by `apiVersion` and `kind` alone. */
export function documentKind(document: unknown): DocumentKind {
  const { apiVersion, kind } = documentIdentity(document);
  if (kind === "Component" || kind === "Resiliency") {
    if (apiVersion !== API_VERSION) return mistake("apiVersion", apiVersion, API_VERSION);
    return { kind: kind === "Component" ? "component" : "resiliency" };
  }
  const near = kind === null ? null : nearest(kind, [...OWN_KINDS, ...OTHER_KINDS]);
  if (apiVersion === null || kind === null) {
    const want = `apiVersion: ${API_VERSION} and kind: Component`;
    const hint = near === null ? "the document is no manifest as it stands" : `did you mean kind: ${near}?`;
    return { kind: "mistake", fault: { severity: "warning", field: "", got: null, want, hint } };
  }
  const ofDapr = apiVersion.startsWith("dapr.io/");
  if (ofDapr && kind === "Configuration")
    return { kind: "other", note: "Configuration is passed over here: --config names the file that is to count" };
  if (!ofDapr || OTHER_KINDS.some((each) => each === kind))
    return { kind: "other", note: `${kind} (${apiVersion}) is passed over: only ${OWN_KINDS.join(" and ")} are read` };
  return mistake("kind", kind, near ?? "Component");
}

function mistake(field: string, got: string | null, want: string): DocumentKind {
  return { kind: "mistake", fault: { severity: "error", field, got, want, hint: null } };
}

/** What a document calls itself and whom it is for, as far as that can be told of one that has faults. */
export interface DocumentIdentity {
  readonly apiVersion: string | null;
  readonly kind: string | null;
  readonly name: string | null;
  readonly type: string | null;
  readonly namespace: string | null;
  /** Empty when there are none, and when they cannot be read: then it may be for every app. */
  readonly scopes: readonly string[];
}

export function documentIdentity(document: unknown): DocumentIdentity {
  const top = entriesOf(document);
  const metadata = entriesOf(top.get("metadata"));
  return {
    apiVersion: scalarText(top.get("apiversion")),
    kind: scalarText(top.get("kind")),
    name: scalarText(metadata.get("name")),
    type: scalarText(entriesOf(top.get("spec")).get("type")),
    namespace: emptyAsNull(scalarText(metadata.get("namespace"))),
    scopes: scopesOf(top.get("scopes")),
  };
}

function scopesOf(value: unknown): readonly string[] {
  const scopes = Array.isArray(value) ? value.map(scalarText) : [];
  return scopes.every((scope) => scope !== null) ? scopes : [];
}

function entriesOf(value: unknown): Map<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return new Map();
  return new Map(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member]));
}

function scalarText(value: unknown): string | null {
  return value === undefined || value === null || typeof value === "object" ? null : valueText(value);
}

/** Kubernetes' own members of `metadata`: a manifest taken from a cluster has them. */
export const OBJECT_META = [
  "name",
  "namespace",
  "labels",
  "annotations",
  "uid",
  "resourceVersion",
  "generation",
  "generateName",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "finalizers",
  "managedFields",
  "ownerReferences",
  "selfLink",
] as const;

/** Parses a document whose kind is Component. */
export function parseComponent(document: unknown): ParsedComponent {
  const reader = new MemberReader();
  const root: Member = { value: document, path: "" };
  const top = reader.members(root, ["apiVersion", "kind", "metadata", "spec", "auth", "scopes", "status"]);
  const metadata = reader.members(top.metadata, OBJECT_META);
  const spec = reader.members(top.spec, ["type", "version", "ignoreErrors", "initTimeout", "metadata"]);
  const auth = reader.members(top.auth, ["secretStore"]);
  const component: Component = {
    name: readName(reader, metadata.name),
    namespace: emptyAsNull(reader.text(metadata.namespace, "a namespace")),
    type: reader.requiredText(spec.type, 'a type such as "state.redis"') ?? "",
    version: reader.text(spec.version, 'a version such as "v1"') ?? "",
    ignoreErrors: reader.boolean(spec.ignoreErrors),
    initTimeoutMs: readInitTimeout(reader, spec.initTimeout),
    metadata: reader
      .list(spec.metadata, "a list of entries with name and value")
      .map((entry) => readEntry(reader, entry)),
    secretStore: emptyAsNull(reader.text(auth.secretStore, "the name of a secret store Component")),
    scopes: reader.list(top.scopes, "a list of app ids").map((scope) => reader.requiredText(scope, "an app id") ?? ""),
  };
  const { faults } = reader;
  return { component: hasErrors(faults) ? null : component, draft: draftOf(component, faults), faults };
}

/** Without the entries that have no name. */
function draftOf(component: Component, faults: readonly Fault[]): Component {
  const errors = faults.filter(({ severity }) => severity === "error");
  // Of "spec.metadata[2].value" the entry's own path.
  const broken = new Set(errors.map(({ field }) => field.slice(0, field.indexOf("]") + 1)));
  const metadata = component.metadata
    .filter(({ name }) => name !== "")
    .map((entry) => (broken.has(entry.path) ? { ...entry, source: UNREADABLE } : entry));
  return { ...component, metadata };
}

/** Stands for a source with faults: a judgement that cannot look variables up says nothing about its value. */
const UNREADABLE: ValueSource = { kind: "env", variable: "" };

/** Kubernetes' rule for a path segment; Dapr's file loader asks for no more (blanks and any script are fine). */
function readName(reader: MemberReader, member: Member): string {
  const want = 'a name: text without "/" and "%", and neither "." nor ".."';
  const name = reader.requiredText(member, want) ?? "";
  if (name === "." || name === ".." || name.includes("/") || name.includes("%"))
    reader.error(member.path, name, want, null);
  return name;
}

function readInitTimeout(reader: MemberReader, member: Member): number {
  const want = 'a duration such as "30s", of at most 24h';
  const text = reader.text(member, want);
  if (text === null || text === "") return INIT_TIMEOUT_MS;
  const ms = parseGoDuration(text);
  if (ms !== null && ms > 0 && ms <= INIT_TIMEOUT_MAX_MS) return ms;
  const tooLong = ms !== null && ms > 0;
  const hint = tooLong ? "24h is used instead" : `${INIT_TIMEOUT_MS / 1000}s is used instead, as Dapr does`;
  reader.faults.push({ severity: "warning", field: member.path, got: text, want, hint });
  return tooLong ? INIT_TIMEOUT_MAX_MS : INIT_TIMEOUT_MS;
}

function readEntry(reader: MemberReader, entry: Member): MetadataEntry {
  const members = reader.members(entry, ["name", "value", "secretKeyRef", "envRef"]);
  const name = reader.requiredText(members.name, "the name of a field") ?? "";
  const reference = reader.members(members.secretKeyRef, ["name", "key"]);
  const secret = reader.text(reference.name, "the name of a secret") ?? "";
  const key = reader.text(reference.key, "a key of the secret") ?? "";
  const variable = reader.text(members.envRef, "the name of an environment variable") ?? "";
  const plain = members.value.value;
  if (secret === "" && members.secretKeyRef.value) reader.requiredText(reference.name, "the name of a secret");
  const given = [plain !== undefined && plain !== null, secret !== "", variable !== ""].filter(Boolean).length;
  if (given > 1) {
    const used = secret === "" ? "value" : "secretKeyRef";
    reader.warn(entry.path, "one of value, secretKeyRef and envRef", `${used} is used`);
  }
  return { name, source: chooseSource(plain, { secret, key, variable }), path: entry.path };
}

/** Dapr's order: a secret overrides a value, a value overrides a variable (pkg/runtime/processor/secret). */
function chooseSource(plain: unknown, given: { secret: string; key: string; variable: string }): ValueSource {
  if (given.secret !== "")
    return { kind: "secret", name: given.secret, key: given.key === "" ? given.secret : given.key };
  if (given.variable !== "" && (plain === undefined || plain === null))
    return { kind: "env", variable: given.variable };
  return { kind: "value", text: valueText(plain) };
}

function emptyAsNull(text: string | null): string | null {
  return text === "" ? null : text;
}
