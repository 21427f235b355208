// Which changes of a status are worth an Event. Pure: tells nobody.
import type { Told } from "../kube/events.ts";
import type { ComponentStatus, Condition } from "./status.ts";

export type Announcement = Pick<Told, "type" | "reason" | "action" | "note">;

/**
 * One for each condition that became False, or False for another reason, and for each that is True again. `Ready`
 * repeats no cause, and what is Unknown is no news. `previous` null: nothing was ever said, so only trouble is.
 */
export function announcementsOf(previous: ComponentStatus | null, next: ComponentStatus): readonly Announcement[] {
  const troubles = new Set<string>(
    next.conditions.filter(({ type, status }) => type !== "Ready" && status === "False").map(({ reason }) => reason),
  );
  return next.conditions.flatMap((condition) => {
    const before = previous?.conditions.find(({ type }) => type === condition.type);
    const isNew = before?.status !== condition.status || before.reason !== condition.reason;
    if (!isNew || (condition.type === "Ready" && troubles.has(condition.reason))) return [];
    return announcementOf(condition, before) ?? [];
  });
}

function announcementOf(condition: Condition, before: Condition | undefined): Announcement | null {
  const { type, status, reason, message } = condition;
  const action = "Reconcile";
  if (status === "False") return { type: "Warning", reason, action, note: message };
  const isBetter = type === "Ready" ? before !== undefined && before.status !== "True" : before?.status === "False";
  // The name of the condition says more than "Valid" or "Resolved" would.
  return status === "True" && isBetter ? { type: "Normal", reason: type, action, note: message } : null;
}
