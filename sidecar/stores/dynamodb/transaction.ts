// Changes as one transaction of DynamoDB, which takes a key only once: for each key the change that stands at the end, under
// all conditions on the state before. Knows no connection.
import { type Change, StoreError } from "../store.ts";
import type { Condition } from "./layout.ts";

/** What becomes of one key. */
export interface Step {
  readonly change: Change;
  /** Null where nothing has to hold. */
  readonly condition: Condition | null;
}

/** One step per key, in the order of their first changes. Throws etag-mismatch where two conditions rule each other out. */
export function stepsOf(changes: readonly Change[]): readonly Step[] {
  const steps = new Map<string, Step>();
  for (const [index, change] of changes.entries()) {
    const { key } = change.kind === "upsert" ? change.write : change.removal;
    const condition = conditionOf(change, `change ${index + 1} of ${changes.length}: `);
    const before = steps.get(key)?.condition ?? null;
    if (condition !== null && before !== null && condition.etag !== before.etag)
      throw new StoreError("etag-mismatch", `${condition.place}a change of the same key before it wants another etag`);
    steps.set(key, { change, condition: before ?? condition });
  }
  return [...steps.values()];
}

/** `place` stands before the text of a conflict. A delete with first-write is a plain one (dapr-state-stores.md 1). */
export function conditionOf(change: Change, place: string): Condition | null {
  if (change.kind === "delete") return change.removal.etag === null ? null : { etag: change.removal.etag, place };
  const { etag, firstWrite } = change.write;
  return etag === null && !firstWrite ? null : { etag, place };
}
