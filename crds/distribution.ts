// What operator and sidecars say to each other (docs/distribution.md): one stream of JSON lines down to each sidecar, and
// reports up. Both sides read with the parsers here, so that neither trusts the other's bytes. Knows no socket.

/** GET: the stream. The sidecar proves who it is by a bearer token and says nothing else about itself. */
export const RESOURCES_PATH = "/pannier/v1/sidecar/resources";
/** POST: a {@link SidecarReport}, each time it changes; answered 204. */
export const REPORT_PATH = "/pannier/v1/sidecar/report";
/** The audience of the service-account token that the injector projects into a pod for this. */
export const TOKEN_AUDIENCE = "pannier.io/operator";
/** Where the injector mounts token and trust anchors in the sidecar; the folder is Dapr's (dapr-kubernetes.md 2.4). */
export const IDENTITY_FOLDER = "/var/run/secrets/dapr.io/sentrytoken";
export const TOKEN_FILE = "token";
/** PEM, from the trust bundle's ConfigMap; absent where that could not be written. */
export const TRUST_ANCHORS_FILE = "ca.crt";
/** A ConfigMap of this name in each namespace with sidecars, and its only key is {@link TRUST_ANCHORS_FILE}. */
export const TRUST_BUNDLE_NAME = "pannier-trust-bundle";

/** From one heartbeat to the next when nothing else is said, in milliseconds. */
export const HEARTBEAT_MS = 10_000;
/** A stream on which nothing came for so long is dead, in milliseconds. */
export const SILENCE_MAX_MS = 35_000;
/** Longest line of the stream, and largest report, in bytes: an object of Kubernetes has at most 1.5 MiB. */
export const LINE_BYTES_MAX: number = 4 * 1024 * 1024;
/** Most Components of one report. */
export const REPORTED_MAX = 1000;

export const RESOURCE_KINDS = ["Component", "Resiliency", "Configuration"] as const;
export type ResourceKind = (typeof RESOURCE_KINDS)[number];

/** What a `secretKeyRef` came to. The name and key stay beside the value: encrypted values end in the secret's name. */
export type SecretPart =
  /** In base64, as Kubernetes keeps it. */
  | { readonly name: string; readonly key: string; readonly value: string }
  /** Why there is no value, as the end of a sentence; never a part of a secret. */
  | { readonly name: string; readonly key: string; readonly problem: string };

/** One resource, new or changed. */
export interface ResourceMessage {
  readonly type: "resource";
  readonly kind: ResourceKind;
  readonly name: string;
  /** The manifest, without what only the API server needs (managedFields, status). */
  readonly resource: Readonly<Record<string, unknown>>;
  /** One for each `secretKeyRef` of a Component that the operator resolves; empty for other kinds. */
  readonly secrets: readonly SecretPart[];
}

export interface RemovedMessage {
  readonly type: "removed";
  readonly kind: ResourceKind;
  readonly name: string;
}

/**
 * A stream begins with every resource that the sidecar may have, then one `synced`: what was not named before it is
 * gone. After that come changes.
 */
export type StreamMessage =
  | ResourceMessage
  | RemovedMessage
  | { readonly type: "synced" }
  | { readonly type: "heartbeat" };

/** How a sidecar stands to one Component. */
export interface ReportedComponent {
  readonly name: string;
  /** `metadata.uid` and `metadata.generation` of what it was last given; generation 0 while it is opening that. */
  readonly uid: string;
  readonly generation: number;
  /** `kept`: the last good one serves because this one could not be opened. */
  readonly state: "ready" | "kept" | "failed";
  /** Whether the store answered when it was last asked; null when it was not asked yet or is not open. */
  readonly reachable: boolean | null;
  /** Why it is not ready or not reachable; null when it is both. Never a part of a secret. */
  readonly message: string | null;
}

/** All Components that the sidecar was given. A later report replaces an earlier one. */
export interface SidecarReport {
  readonly components: readonly ReportedComponent[];
}

/** Longest name and UID of a reported Component, in characters: Kubernetes' own are no longer. */
export const REPORT_NAME_MAX = 253;
/** Longest message of a reported Component, in characters; the parser cuts what is longer. */
export const REPORT_MESSAGE_MAX = 1000;

/** Reads a line. Null for one that is none of the messages. */
export function parseMessage(line: string): StreamMessage | null {
  const value = parseJson(line);
  if (!isMapping(value)) return null;
  if (value.type === "synced" || value.type === "heartbeat") return { type: value.type };
  const kind = RESOURCE_KINDS.find((each) => each === value.kind);
  const { name, resource, secrets } = value;
  if (kind === undefined || typeof name !== "string" || name === "") return null;
  if (value.type === "removed") return { type: "removed", kind, name };
  if (value.type !== "resource" || !isMapping(resource) || !Array.isArray(secrets)) return null;
  const parts = secrets.map(parseSecret);
  if (!parts.every((part) => part !== null)) return null;
  return { type: "resource", kind, name, resource, secrets: parts };
}

function parseSecret(value: unknown): SecretPart | null {
  if (!isMapping(value)) return null;
  const { name, key, value: text, problem } = value;
  if (typeof name !== "string" || typeof key !== "string") return null;
  if (typeof text === "string") return { name, key, value: text };
  return typeof problem === "string" ? { name, key, problem } : null;
}

/** Reads a report. Null for one that is none, or has more than {@link REPORTED_MAX} Components. */
export function parseReport(text: string): SidecarReport | null {
  const value = parseJson(text);
  if (!isMapping(value) || !Array.isArray(value.components) || value.components.length > REPORTED_MAX) return null;
  const components = value.components.map(parseReported);
  return components.every((each) => each !== null) ? { components } : null;
}

function parseReported(value: unknown): ReportedComponent | null {
  if (!isMapping(value)) return null;
  const { name, uid, generation, state, reachable, message } = value;
  if (typeof name !== "string" || typeof uid !== "string" || typeof generation !== "number") return null;
  if (name.length > REPORT_NAME_MAX || uid.length > REPORT_NAME_MAX) return null;
  if (state !== "ready" && state !== "kept" && state !== "failed") return null;
  if (reachable !== null && typeof reachable !== "boolean") return null;
  if (message !== null && typeof message !== "string") return null;
  return { name, uid, generation, state, reachable, message: message?.slice(0, REPORT_MESSAGE_MAX) ?? null };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Told by the null of whoever asked.
    return null;
  }
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
