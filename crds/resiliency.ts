// The Resiliency resource: its shape, and the parse from any JSON value with all faults at once (dapr-state-api.md 7.1,
// 7.2). Knows no YAML, no file, and not what a trip expression means: whoever compiles it judges its text.
import { parseGoDuration } from "#kit/duration.ts";
import { type Fault, hasErrors } from "#kit/fault.ts";
import { OBJECT_META } from "./component.ts";
import { type Member, MemberReader, type NamedMember } from "./members.ts";

/** Longest duration of a policy, in milliseconds: 20 days. */
const DURATION_MAX_MS = 20 * 24 * 3_600_000;
/** Highest number of retries, and of calls that a half-open breaker lets through. */
const COUNT_MAX = 1_000_000;

const RETRY_DURATION_MS = 5000;
const RETRY_INTERVAL_MAX_MS = 60_000;
const BREAKER_TIMEOUT_MS = 60_000;
/** Dapr's own retry policies do not go below this when they are redefined. */
const BUILT_IN_RETRIES_MIN = 3;

export interface RetrySpec {
  readonly policy: "constant" | "exponential";
  /** Between two attempts, for "constant". */
  readonly durationMs: number;
  /** Longest mean pause, for "exponential". */
  readonly maxIntervalMs: number;
  /** Attempts after the first; -1 for no such limit. */
  readonly maxRetries: number;
  /** It names status codes, which errors of a state store do not have. */
  readonly hasMatching: boolean;
}

export interface BreakerSpec {
  /** Calls let through while half-open; so many successes close it. */
  readonly maxRequests: number;
  /** How often the counts are cleared while closed; 0 for never. */
  readonly intervalMs: number;
  /** How long it stays open. */
  readonly timeoutMs: number;
  /** CEL; null for Dapr's own, `consecutiveFailures > 5`. */
  readonly trip: string | null;
  /** `spec.policies.circuitBreakers.orders.trip` */
  readonly tripPath: string;
}

/** Names of policies; null where the target names none. */
export interface TargetPolicies {
  readonly timeout: string | null;
  readonly retry: string | null;
  readonly circuitBreaker: string | null;
}

export interface Resiliency {
  readonly name: string;
  /** Null when the manifest names none. */
  readonly namespace: string | null;
  /** App ids that it is for; empty for all. */
  readonly scopes: readonly string[];
  /** Milliseconds; 0 for no limit. */
  readonly timeouts: ReadonlyMap<string, number>;
  readonly retries: ReadonlyMap<string, RetrySpec>;
  readonly circuitBreakers: ReadonlyMap<string, BreakerSpec>;
  /** The outbound policies of `targets.components`, by the Component's name. */
  readonly components: ReadonlyMap<string, TargetPolicies>;
}

export interface ParsedResiliency {
  /** Null when a fault is an error. */
  readonly resiliency: Resiliency | null;
  /** What could be read of it in spite of faults, to find more of them. */
  readonly draft: Resiliency;
  readonly faults: readonly Fault[];
}

/** Parses a document whose kind is Resiliency. */
export function parseResiliency(document: unknown): ParsedResiliency {
  const reader = new MemberReader("a Resiliency");
  const top = reader.members({ value: document, path: "" }, [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "scopes",
    "status",
  ]);
  const metadata = reader.members(top.metadata, OBJECT_META);
  const spec = reader.members(top.spec, ["policies", "targets"]);
  const policies = reader.members(spec.policies, ["timeouts", "retries", "circuitBreakers"]);
  // Calls of other apps and of actors are not Pannier's; what stands there is theirs.
  const targets = reader.members(spec.targets, ["apps", "actors", "components"]);
  const read = <T>(member: Member, one: (entry: NamedMember) => T): ReadonlyMap<string, T> =>
    new Map(reader.entries(member).map((entry) => [entry.name, one(entry)]));
  const namespace = reader.text(metadata.namespace, "a namespace");
  const draft: Resiliency = {
    name: reader.requiredText(metadata.name, "a name") ?? "",
    namespace: namespace === "" ? null : namespace,
    scopes: reader.list(top.scopes, "a list of app ids").map((scope) => reader.requiredText(scope, "an app id") ?? ""),
    timeouts: read(policies.timeouts, (entry) => readDuration(reader, entry, 0)),
    retries: read(policies.retries, (entry) => readRetry(reader, entry)),
    circuitBreakers: read(policies.circuitBreakers, (entry) => readBreaker(reader, entry)),
    components: read(targets.components, (entry) => readTarget(reader, entry)),
  };
  return { resiliency: hasErrors(reader.faults) ? null : draft, draft, faults: reader.faults };
}

function readRetry(reader: MemberReader, entry: NamedMember): RetrySpec {
  const members = reader.members(entry, ["policy", "duration", "maxInterval", "maxRetries", "matching"]);
  const matching = reader.members(members.matching, ["httpStatusCodes", "gRPCStatusCodes"]);
  const policy = readPolicy(reader, members.policy);
  const unused = policy === "constant" ? members.maxInterval : members.duration;
  if (unused.value !== undefined) {
    const why = `a retry policy that is ${policy} does not look at it`;
    reader.warn(unused.path, `nothing: it has no effect with policy: ${policy}`, why);
  }
  return {
    policy,
    durationMs: readDuration(reader, members.duration, RETRY_DURATION_MS),
    maxIntervalMs: readDuration(reader, members.maxInterval, RETRY_INTERVAL_MAX_MS),
    maxRetries: readRetries(reader, members.maxRetries, entry.name),
    hasMatching: Object.values(matching).some(({ value }) => value !== undefined),
  };
}

function readPolicy(reader: MemberReader, member: Member): RetrySpec["policy"] {
  const want = '"constant" or "exponential"';
  const text = reader.text(member, want) ?? "";
  const word = text.toLowerCase();
  if (word === "exponential") return word;
  if (word !== "" && word !== "constant") reader.error(member.path, text, want, null);
  return "constant";
}

function readRetries(reader: MemberReader, member: Member, policy: string): number {
  const given = reader.whole(member, { min: -COUNT_MAX, max: COUNT_MAX }) ?? -1;
  const retries = Math.max(given, -1);
  if (!isBuiltInRetry(policy) || retries >= BUILT_IN_RETRIES_MIN) return retries;
  reader.warn(
    member.path,
    `at least ${BUILT_IN_RETRIES_MIN} retries`,
    `${BUILT_IN_RETRIES_MIN} are made, as Dapr does`,
  );
  return BUILT_IN_RETRIES_MIN;
}

/** One of the policies that Dapr has without a resource. None of them applies to a state store by itself. */
export function isBuiltInRetry(name: string): boolean {
  return name.startsWith("DaprBuiltIn");
}

function readBreaker(reader: MemberReader, entry: NamedMember): BreakerSpec {
  const members = reader.members(entry, ["maxRequests", "interval", "timeout", "trip"]);
  const trip = reader.text(members.trip, 'an expression such as "consecutiveFailures > 5"');
  return {
    // 0 stands for the default, in the library that Dapr uses.
    maxRequests: Math.max(reader.whole(members.maxRequests, { min: 0, max: COUNT_MAX }) ?? 1, 1),
    intervalMs: readDuration(reader, members.interval, 0),
    timeoutMs: readDuration(reader, members.timeout, 0) || BREAKER_TIMEOUT_MS,
    trip: trip === "" ? null : trip,
    tripPath: members.trip.path,
  };
}

function readTarget(reader: MemberReader, entry: NamedMember): TargetPolicies {
  const directions = reader.members(entry, ["inbound", "outbound"]);
  readPolicies(reader, directions.inbound);
  return readPolicies(reader, directions.outbound);
}

function readPolicies(reader: MemberReader, member: Member): TargetPolicies {
  const members = reader.members(member, ["timeout", "retry", "circuitBreaker"]);
  const name = (each: Member): string | null => reader.text(each, "the name of a policy") || null;
  return { timeout: name(members.timeout), retry: name(members.retry), circuitBreaker: name(members.circuitBreaker) };
}

/** Milliseconds. A bare whole number is one of milliseconds; absent and empty is the fallback. */
function readDuration(reader: MemberReader, member: Member, fallbackMs: number): number {
  const want = 'a duration from 0 to 480h, as "5s", "1m30s" or a number of milliseconds';
  const text = reader.text(member, want);
  if (text === null || text === "") return fallbackMs;
  const ms = /^-?\d{1,15}$/.test(text) ? Number(text) : parseGoDuration(text);
  if (ms !== null && ms >= 0 && ms <= DURATION_MAX_MS) return ms;
  reader.error(member.path, text, want, null);
  return fallbackMs;
}
