// The status that an object of the cluster carries, as far as it is this operator's. Pure; anybody may have edited it.
import { type AppStatus, CAUSES, type ComponentStatus, type Condition, type ConditionStatus } from "./status.ts";

/** Null when there is none of ours. Members come in the order in which `statusOf` makes them, so that texts compare. */
export function shownStatus(status: unknown): ComponentStatus | null {
  if (!isMapping(status)) return null;
  const { observedGeneration, conditions, apps } = status;
  if (typeof observedGeneration !== "number" || !Array.isArray(conditions)) return null;
  const shown = conditions.map(shownCondition);
  return {
    observedGeneration,
    conditions: (["Ready", ...CAUSES] as const).flatMap((type) => shown.find((each) => each?.type === type) ?? []),
    apps: (Array.isArray(apps) ? apps : [])
      .flatMap((app) => shownApp(app) ?? [])
      .sort((left, right) => (left.appId < right.appId ? -1 : 1)),
  };
}

function shownCondition(value: unknown): Condition | null {
  if (!isMapping(value)) return null;
  const { type, status, reason, message, observedGeneration, lastTransitionTime } = value;
  const known = (["Ready", ...CAUSES] as const).find((each) => each === type);
  const word = (["True", "False", "Unknown"] satisfies ConditionStatus[]).find((each) => each === status);
  if (known === undefined || word === undefined || typeof observedGeneration !== "number") return null;
  if (typeof reason !== "string" || typeof message !== "string" || typeof lastTransitionTime !== "string") return null;
  return { type: known, status: word, reason, message, observedGeneration, lastTransitionTime };
}

function shownApp(value: unknown): AppStatus | null {
  if (!isMapping(value)) return null;
  const { appId, ready, total, message, lastTransitionTime } = value;
  if (typeof appId !== "string" || typeof ready !== "number" || typeof total !== "number") return null;
  if (typeof lastTransitionTime !== "string") return null;
  const counts = { appId, ready, total };
  return typeof message === "string" ? { ...counts, message, lastTransitionTime } : { ...counts, lastTransitionTime };
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
