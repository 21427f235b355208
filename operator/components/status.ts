// The status of a Component as the cluster shows it: its shape, its closed lists of reasons, its bounds. Only data.
// docs/status.md says for each reason what to do; a test compares.

/** In the order in which `Ready` looks for a cause. */
export const CAUSES = ["MetadataValid", "SecretsResolved", "StoreReachable"] as const;
export type Cause = (typeof CAUSES)[number];
export type ConditionType = Cause | "Ready";

export const REASONS = {
  MetadataValid: ["Valid", "HasWarnings", "Invalid", "TypeUnknown"],
  SecretsResolved: [
    "Resolved",
    "NoSecrets",
    "ResolvedInSidecar",
    "SecretNotFound",
    "KeyNotFound",
    "Forbidden",
    "Unavailable",
  ],
  StoreReachable: ["Reachable", "Unreachable", "Partly", "NotAsked", "NoSidecar"],
  /** And, when it is False, the reason of its cause. */
  Ready: ["Ready", "NotLoaded", "LastGoodKept", "Pending", "NoSidecar"],
} as const;

export type ReasonOf<T extends ConditionType> = (typeof REASONS)[T][number];
export type Reason = ReasonOf<ConditionType>;
export type ConditionStatus = "True" | "False" | "Unknown";

/** What a condition says, before it is known since when. */
export interface Verdict<R extends string = Reason> {
  readonly status: ConditionStatus;
  readonly reason: R;
  readonly message: string;
}

/** One of the cluster's, whose reason an older or newer operator may have written. */
export interface Condition extends Verdict<string> {
  readonly type: ConditionType;
  readonly observedGeneration: number;
  /** When `status` last became what it is: RFC 3339, to the second. */
  readonly lastTransitionTime: string;
}

/** The sidecars of one app. */
export interface AppStatus {
  readonly appId: string;
  /** How many of its sidecars have opened this generation and reach the store. */
  readonly ready: number;
  readonly total: number;
  /** What the first that is not ready says; absent when all are. */
  readonly message?: string;
  /** When all of them last became ready, or ceased to be: RFC 3339, to the second. */
  readonly lastTransitionTime: string;
}

export interface ComponentStatus {
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  readonly apps: readonly AppStatus[];
}

/** Most apps that a status lists: those with trouble first. */
export const APPS_MAX = 100;
/** Longest message of a condition or an app, in characters. */
export const MESSAGE_MAX = 1024;

/** Half a character, which a cut may leave, would come back from the API server as another one. */
export function cut(message: string): string {
  const whole = message.length > MESSAGE_MAX ? `${message.slice(0, MESSAGE_MAX - 1)}…` : message;
  return whole.toWellFormed();
}
