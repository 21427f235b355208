// The Configuration resource: what of it means something here, and the parse from any JSON value with all faults at once
// (dapr-kubernetes.md 1.2). Knows no YAML, no file and no environment.
import { parseGoDuration } from "#kit/duration.ts";
import { type Fault, hasErrors } from "#kit/fault.ts";
import { type ApiRule, readRule } from "./api-rules.ts";
import { OBJECT_META } from "./component.ts";
import { type Member, MemberReader, type Members } from "./members.ts";

/** Most bounds of a latency histogram: each is a series per store and operation. */
const BOUNDS_MAX = 100;
const BOUND_MAX_MS = 24 * 3_600_000;
/** Most patterns of paths. */
const PATTERNS_MAX = 1000;
const EXPORT_TIMEOUT_MS = 10_000;
const EXPORT_TIMEOUT_MAX_MS = 600_000;
/** Of 10,000 requests without a parent one is traced, unless the Configuration says otherwise (dapr-state-api.md 10.1). */
const SAMPLING_RATE = 1e-4;

export interface ComponentDenial {
  /** In lower case: "state.redis". */
  readonly type: string;
  /** In lower case; null for every version. */
  readonly version: string | null;
}

export interface MetricsSettings {
  readonly enabled: boolean;
  readonly recordErrorCodes: boolean;
  /** Ascending, in milliseconds; null for Dapr's own. */
  readonly latencyBoundsMs: readonly number[] | null;
  readonly http: {
    /** False: no path in the labels, unless a pattern fits. */
    readonly increasedCardinality: boolean;
    /** Patterns of whole paths as Go's ServeMux has them: "/v1.0/state/{store}/{key}". */
    readonly pathMatching: readonly string[];
    /** No method in the labels. */
    readonly excludeVerbs: boolean;
  };
}

export interface OtelSettings {
  /** host:port, or a URL. */
  readonly endpointAddress: string;
  readonly isSecure: boolean;
  readonly protocol: "grpc" | "http";
  /** Secret: they may carry a token. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly timeoutMs: number;
}

/** Where spans go, and how many. */
export interface TracingSettings {
  /** From 0 to 1. */
  readonly samplingRate: number;
  readonly stdout: boolean;
  /** Null when there is none. */
  readonly otel: OtelSettings | null;
  /** URL of the span endpoint; null when there is none. */
  readonly zipkinEndpoint: string | null;
}

export interface Configuration {
  readonly api: { readonly allowed: readonly ApiRule[]; readonly denied: readonly ApiRule[] };
  readonly denied: readonly ComponentDenial[];
  readonly metrics: MetricsSettings;
  /** Null when the Configuration says nothing of it. */
  readonly tracing: TracingSettings | null;
  /** What is said of each feature, by its name as written. */
  readonly features: ReadonlyMap<string, boolean>;
  /** `enabled`: null when not said. */
  readonly apiLogging: { readonly enabled: boolean | null; readonly omitHealthChecks: boolean };
  /** Paths of members that mean something to Dapr and nothing here. */
  readonly withoutEffect: readonly string[];
}

export interface ParsedConfiguration {
  /** Null when a fault is an error. */
  readonly configuration: Configuration | null;
  readonly faults: readonly Fault[];
}

/** Members that are Dapr's and about something that Pannier does not have. */
const FOREIGN = [
  "accessControl",
  "appHttpPipeline",
  "httpPipeline",
  "mtls",
  "nameResolution",
  "secrets",
  "wasm",
  "workflow",
] as const;

/** Parses a document whose kind is Configuration; an empty one gives the defaults. */
export function parseConfiguration(document: unknown): ParsedConfiguration {
  const reader = new MemberReader("a Configuration");
  const top = reader.members({ value: document, path: "" }, ["apiVersion", "kind", "metadata", "spec", "status"]);
  reader.members(top.metadata, OBJECT_META);
  const own = ["api", "components", "features", "logging", "metric", "metrics", "tracing"] as const;
  const spec = reader.members(top.spec, [...own, ...FOREIGN]);
  const components = reader.members(spec.components, ["deny"]);
  const metrics = readMetrics(reader, spec.metric, spec.metrics);
  const configuration: Configuration = {
    api: readApi(reader, spec.api),
    denied: reader.list(components.deny, DENY_WANT).flatMap((item) => readDenial(reader, item)),
    metrics: metrics.settings,
    tracing: isAbsent(spec.tracing) ? null : readTracing(reader, spec.tracing),
    features: readFeatures(reader, spec.features),
    apiLogging: readApiLogging(reader, spec.logging),
    withoutEffect: [...metrics.withoutEffect, ...FOREIGN.map((name) => spec[name]).filter(isSaid)].map(
      ({ path }) => path,
    ),
  };
  return { configuration: hasErrors(reader.faults) ? null : configuration, faults: reader.faults };
}

const DENY_WANT = 'a list of Component types, as "state.redis" or "state.redis/v1"';

function readApi(reader: MemberReader, member: Member): Configuration["api"] {
  const { allowed, denied } = reader.members(member, ["allowed", "denied"]);
  const rules = (list: Member): readonly ApiRule[] =>
    reader.list(list, "a list of rules with name, version and protocol").map((item) => readRule(reader, item));
  return { allowed: rules(allowed), denied: rules(denied) };
}

function readDenial(reader: MemberReader, item: Member): readonly ComponentDenial[] {
  const text = reader.requiredText(item, DENY_WANT);
  if (text === null) return [];
  const [type = "", version, ...rest] = text.split("/");
  if (type === "" || version === "" || rest.length > 0) reader.error(item.path, text, DENY_WANT, null);
  return [{ type: type.toLowerCase(), version: version?.toLowerCase() ?? null }];
}

const METRIC_MEMBERS = [
  "enabled",
  "recordErrorCodes",
  "http",
  "latencyDistributionBuckets",
  "rules",
  "workflow",
] as const;

/** `metrics` comes before `metric`, member by member (Dapr keeps both names). */
function readMetrics(
  reader: MemberReader,
  metric: Member,
  metrics: Member,
): { readonly settings: MetricsSettings; readonly withoutEffect: readonly Member[] } {
  const older = reader.members(metric, METRIC_MEMBERS);
  const newer = reader.members(metrics, METRIC_MEMBERS);
  const said = Object.fromEntries(
    METRIC_MEMBERS.map((name) => [name, isAbsent(newer[name]) ? older[name] : newer[name]]),
  ) as unknown as Members<(typeof METRIC_MEMBERS)[number]>;
  const http = reader.members(said.http, ["increasedCardinality", "pathMatching", "excludeVerbs"]);
  return {
    settings: {
      enabled: isAbsent(said.enabled) || reader.boolean(said.enabled),
      recordErrorCodes: reader.boolean(said.recordErrorCodes),
      latencyBoundsMs: readBounds(reader, said.latencyDistributionBuckets),
      http: {
        increasedCardinality: isAbsent(http.increasedCardinality) || reader.boolean(http.increasedCardinality),
        pathMatching: readPatterns(reader, http.pathMatching),
        excludeVerbs: reader.boolean(http.excludeVerbs),
      },
    },
    withoutEffect: [said.rules, said.workflow].filter(isSaid),
  };
}

function readBounds(reader: MemberReader, member: Member): readonly number[] | null {
  const items = reader.list(member, "a list of whole numbers of milliseconds");
  const bounds = items.map((item) => reader.whole(item, { min: 0, max: BOUND_MAX_MS }) ?? 0);
  if (items.length > BOUNDS_MAX) reader.error(member.path, String(items.length), `at most ${BOUNDS_MAX} buckets`, null);
  if (bounds.some((bound, index) => index > 0 && bound <= (bounds[index - 1] ?? 0)))
    reader.error(member.path, bounds.join(", "), "buckets that ascend", null);
  return bounds.length === 0 ? null : bounds;
}

function readPatterns(reader: MemberReader, member: Member): readonly string[] {
  const want = 'a path, as "/v1.0/state/{store}/{key}"';
  const items = reader.list(member, "a list of paths");
  if (items.length > PATTERNS_MAX)
    reader.error(member.path, String(items.length), `at most ${PATTERNS_MAX} paths`, null);
  return items.map((item) => {
    const text = reader.requiredText(item, want) ?? "/";
    if (!text.startsWith("/")) reader.error(item.path, text, want, null);
    return text;
  });
}

function readFeatures(reader: MemberReader, member: Member): ReadonlyMap<string, boolean> {
  const items = reader.list(member, "a list of features with name and enabled");
  return new Map(
    items.map((item) => {
      const { name, enabled } = reader.members(item, ["name", "enabled"]);
      return [reader.requiredText(name, "the name of a feature") ?? "", reader.boolean(enabled)];
    }),
  );
}

function readApiLogging(reader: MemberReader, member: Member): Configuration["apiLogging"] {
  const { apiLogging } = reader.members(member, ["apiLogging"]);
  // URLs are never logged here, only the route's pattern: what obfuscateURLs asks for.
  const said = reader.members(apiLogging, ["enabled", "obfuscateURLs", "omitHealthChecks"]);
  return {
    enabled: isAbsent(said.enabled) ? null : reader.boolean(said.enabled),
    omitHealthChecks: reader.boolean(said.omitHealthChecks),
  };
}

function readTracing(reader: MemberReader, member: Member): TracingSettings {
  const said = reader.members(member, ["samplingRate", "stdout", "otel", "zipkin"]);
  const zipkin = reader.members(said.zipkin, ["endpointAddress"]);
  return {
    samplingRate: readRate(reader, said.samplingRate),
    stdout: reader.boolean(said.stdout),
    otel: readOtel(reader, said.otel),
    zipkinEndpoint: reader.text(zipkin.endpointAddress, "a URL") || null,
  };
}

/** Decimal numbers as Go writes them: Dapr reads no others, and the admission policy has the same pattern. */
const RATE = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

function readRate(reader: MemberReader, member: Member): number {
  const want = 'a number from 0 to 1, as "0.1"';
  const text = reader.text(member, want) ?? "";
  if (text === "") return SAMPLING_RATE;
  const rate = RATE.test(text) ? Number(text) : Number.NaN;
  if (rate >= 0 && rate <= 1) return rate;
  reader.error(member.path, text, want, null);
  return SAMPLING_RATE;
}

function readOtel(reader: MemberReader, member: Member): OtelSettings | null {
  const said = reader.members(member, ["endpointAddress", "isSecure", "protocol", "headers", "timeout"]);
  const endpointAddress = reader.text(said.endpointAddress, 'an address, as "localhost:4317"') ?? "";
  if (endpointAddress === "") return null;
  const want = '"grpc" or "http"';
  const protocol = reader.requiredText(said.protocol, want);
  if (protocol !== null && protocol !== "grpc" && protocol !== "http")
    reader.error(said.protocol.path, protocol, want, null);
  return {
    endpointAddress,
    isSecure: isAbsent(said.isSecure) || reader.boolean(said.isSecure),
    protocol: protocol === "http" ? "http" : "grpc",
    headers: readHeaders(reader, said.headers),
    timeoutMs: readTimeout(reader, said.timeout),
  };
}

/** A list of names and values, or Dapr's older form, `name=value,name=value`. No value is ever shown. */
function readHeaders(reader: MemberReader, member: Member): OtelSettings["headers"] {
  if (typeof member.value === "string") return readHeaderText(reader, member.path, member.value);
  return reader.list(member, "a list of headers with name and value").map((item) => {
    const said = reader.members(item, ["name", "value", "secretKeyRef", "envRef"]);
    for (const reference of [said.secretKeyRef, said.envRef].filter(isSaid))
      reader.error(
        reference.path,
        null,
        "the header's value",
        "write a variable into value to take it from the environment",
      );
    const name = reader.requiredText(said.name, "the name of a header") ?? "";
    return { name, value: reader.text(said.value, "the header's value") ?? "" };
  });
}

function readHeaderText(reader: MemberReader, path: string, text: string): OtelSettings["headers"] {
  const pairs = text.split(",").filter((pair) => pair.trim() !== "");
  return pairs.flatMap((pair) => {
    const at = pair.indexOf("=");
    if (at > 0) return [{ name: pair.slice(0, at).trim(), value: decoded(pair.slice(at + 1).trim()) }];
    reader.error(path, null, "headers as name=value, divided by commas", null);
    return [];
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoded: it stands for itself.
    return text;
  }
}

/** A duration, or a bare number of milliseconds. */
function readTimeout(reader: MemberReader, member: Member): number {
  const want = 'a duration up to 10m, as "10s", or a number of milliseconds';
  const text = reader.text(member, want) ?? "";
  if (text === "" || text === "0") return EXPORT_TIMEOUT_MS;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) : parseGoDuration(text);
  if (ms !== null && ms > 0 && ms <= EXPORT_TIMEOUT_MAX_MS) return ms;
  reader.error(member.path, text, want, null);
  return EXPORT_TIMEOUT_MS;
}

function isAbsent({ value }: Member): boolean {
  return value === undefined || value === null;
}

/** It is there, and not just an empty list or mapping. */
function isSaid(member: Member): boolean {
  const { value } = member;
  return typeof value === "object" && value !== null ? Object.keys(value).length > 0 : !isAbsent(member);
}
