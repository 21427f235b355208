// From what is known of a Component to its status. Pure: no clock but the time it is given, no cluster, no secret value.
import { describeFault, type Fault } from "#kit/fault.ts";
import type { ComponentReport } from "../api/report-table.ts";
import { appsOf, byAppAndPod, isReady } from "./apps.ts";
import {
  CAUSES,
  type ComponentStatus,
  type Condition,
  type ConditionType,
  cut,
  type ReasonOf,
  type Verdict,
} from "./status.ts";

/** All that a status is made of. */
export interface Known {
  readonly generation: number;
  readonly faults: readonly Fault[];
  /** What became of its references to secrets (secrets.ts). */
  readonly secrets: Verdict<ReasonOf<"SecretsResolved">>;
  /** Of sidecars that were given the object that has the Component's name now. */
  readonly reports: readonly ComponentReport[];
}

/** `previous`: what the cluster shows, of which the times of unchanged conditions are kept. */
export function statusOf(known: Known, previous: ComponentStatus | null, nowMs: number): ComponentStatus {
  const reports = known.reports.toSorted(byAppAndPod);
  const verdicts = {
    MetadataValid: metadataValid(known.faults),
    SecretsResolved: known.secrets,
    StoreReachable: storeReachable(reports),
  };
  const all = { Ready: ready(verdicts, reports, known.generation), ...verdicts };
  const { generation } = known;
  // RFC 3339 to the second, as the cluster's own times are.
  const now = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  const conditions = (["Ready", ...CAUSES] as const).map((type) =>
    conditionOf(type, all[type], { generation, previous, now }),
  );
  const apps = appsOf(reports, { generation, previous: previous?.apps ?? [], now });
  return { observedGeneration: generation, conditions, apps };
}

function conditionOf(
  type: ConditionType,
  { status, reason, message }: Verdict,
  { generation, previous, now }: { generation: number; previous: ComponentStatus | null; now: string },
): Condition {
  const before = previous?.conditions.find((each) => each.type === type);
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now;
  return { type, status, reason, message: cut(message), observedGeneration: generation, lastTransitionTime };
}

function metadataValid(faults: readonly Fault[]): Verdict<ReasonOf<"MetadataValid">> {
  const errors = faults.filter(({ severity }) => severity === "error");
  const message = (errors.length > 0 ? errors : faults).map(describeFault).join("; ");
  const certain = errors.filter((fault) => !mayBeBrought(fault));
  if (errors.length > 0 && certain.length === 0)
    return { status: "Unknown", reason: "TypeUnknown", message: `${BROUGHT}; else ${message}` };
  if (certain.some(({ field, got }) => got !== null && (field === "spec.type" || field === "spec.version")))
    return { status: "False", reason: "TypeUnknown", message };
  if (errors.length > 0) return { status: "False", reason: "Invalid", message };
  if (faults.length > 0) return { status: "True", reason: "HasWarnings", message };
  return { status: "True", reason: "Valid", message: "the manifest is valid" };
}

const BROUGHT = "a pod may bring such a store as a pluggable component, which its sidecar then reports";

/** The type of a state store that Pannier does not have. Which programs a pod brings is known in the pod alone. */
function mayBeBrought({ field, got }: Fault): boolean {
  return field === "spec.type" && got?.startsWith("state.") === true;
}

function storeReachable(reports: readonly ComponentReport[]): Verdict<ReasonOf<"StoreReachable">> {
  if (reports.length === 0) return noSidecar;
  const asked = reports.filter(({ reachable }) => reachable !== null);
  const silent = asked.filter(({ reachable }) => reachable === false);
  const [first] = silent;
  if (asked.length === 0)
    return { status: "Unknown", reason: "NotAsked", message: "no sidecar has asked the store yet" };
  if (first === undefined)
    return { status: "True", reason: "Reachable", message: `the store answers ${sidecars(asked.length)}` };
  const message = `the store does not answer ${silent.length} of ${sidecars(asked.length)}; ${saidBy(first)}`;
  return { status: "False", reason: silent.length === asked.length ? "Unreachable" : "Partly", message };
}

const noSidecar: Verdict<"NoSidecar"> = {
  status: "Unknown",
  reason: "NoSidecar",
  message: "no sidecar reports on it: no running pod with a sidecar is in its scopes",
};

/** The first cause that is False; else what the sidecars say. */
function ready(
  verdicts: { readonly [C in (typeof CAUSES)[number]]: Verdict },
  reports: readonly ComponentReport[],
  generation: number,
): Verdict {
  const [manifest, secrets] = [verdicts.MetadataValid, verdicts.SecretsResolved].map((verdict) =>
    verdict.status === "False" ? verdict : null,
  );
  const cause = manifest ?? secrets ?? notLoaded(reports);
  if (cause) return cause;
  if (verdicts.StoreReachable.status === "False") return verdicts.StoreReachable;
  // Where it is not known whether there is such a store, that matters more than who could tell.
  if (reports.length === 0) return verdicts.MetadataValid.status === "Unknown" ? verdicts.MetadataValid : noSidecar;
  const pending = reports.filter((report) => !isReady(report, generation));
  if (pending.length === 0) return { status: "True", reason: "Ready", message: `${sidecars(reports.length)} ready` };
  const message = `${pending.length} of ${sidecars(reports.length)} not on generation ${generation} yet`;
  return { status: "Unknown", reason: "Pending", message };
}

/** A sidecar with nothing to serve is worse than one that goes on with what it had. */
function notLoaded(reports: readonly ComponentReport[]): Verdict<"NotLoaded" | "LastGoodKept"> | null {
  for (const [state, reason, words] of NOT_LOADED) {
    const such = reports.filter((report) => report.state === state);
    const [first] = such;
    if (first === undefined) continue;
    const message = `${such.length} of ${sidecars(reports.length)} ${words}; ${saidBy(first)}`;
    return { status: "False", reason, message };
  }
  return null;
}

const NOT_LOADED = [
  ["failed", "NotLoaded", "could not open it"],
  ["kept", "LastGoodKept", "could not open it and go on with the last good one"],
] as const;

function saidBy({ appId, podName, message }: ComponentReport): string {
  return `pod ${podName} of app ${appId}: ${message ?? "no reason given"}`;
}

function sidecars(count: number): string {
  return count === 1 ? "1 sidecar" : `${count} sidecars`;
}
