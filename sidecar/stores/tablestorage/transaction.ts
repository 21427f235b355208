// Changes as one batch of the service's: for each key one operation, which carries the key's condition and does what the
// last change says. All conditions are compared with the state before. Knows no connection.
import { noValue, otherEtag, valueExists } from "../azure/etags.ts";
import type { Change, StoreError, Write } from "../store.ts";
import type { Operation } from "./table.ts";
import { isMissing } from "./table.ts";

/** What one key's changes come to. */
export interface Step {
  readonly key: string;
  /** The row must have this ETag; null for no such condition. */
  readonly etag: string | null;
  /** There must be no row. */
  readonly absent: boolean;
  /** What stands at the end; null for a delete. */
  readonly write: Write | null;
  /** "change 2 of 3: " of the condition, or nothing for a change that is alone. */
  readonly place: string;
}

/** Throws a StoreError of code `etag-mismatch` for conditions that no state can meet. `alone`: errors name no place. */
export function stepsOf(
  changes: readonly Change[],
  alone: boolean,
  checkEtag: (etag: string, place: string) => void,
): readonly Step[] {
  const steps = new Map<string, Step>();
  for (const [index, change] of changes.entries()) {
    const { key, etag } = change.kind === "upsert" ? change.write : change.removal;
    const place = alone ? "" : `change ${index + 1} of ${changes.length}: `;
    if (etag !== null) checkEtag(etag, place);
    const before = steps.get(key);
    // First-write has no say in a delete.
    const absent = etag === null && change.kind === "upsert" && change.write.firstWrite;
    const isFirst = before === undefined || (before.etag === null && !before.absent);
    if (before?.etag && absent) throw valueExists(place);
    if (etag !== null && (before?.absent || (before?.etag ?? etag) !== etag)) throw otherEtag(place);
    steps.set(key, {
      key,
      etag: etag ?? before?.etag ?? null,
      absent: absent || before?.absent === true,
      write: change.kind === "upsert" ? change.write : null,
      place: isFirst ? place : before.place,
    });
  }
  return [...steps.values()];
}

/** A delete that the service would not take where there is no row: whether there is one has to be known before. */
export function needsLook({ write, etag }: Step): boolean {
  return write === null && etag === null;
}

/** "again": somebody has deleted a row that was to be deleted anyway. */
export function conflictOf(
  step: Step | undefined,
  operation: Operation | undefined,
  code: string,
): StoreError | "again" | null {
  if (step === undefined || operation === undefined) return null;
  if (code === "EntityAlreadyExists") return operation.kind === "insert" ? valueExists(step.place) : null;
  if (isMissing(code)) return step.etag === null ? "again" : noValue(step.place);
  return UNMET.has(code) && step.etag !== null ? otherEtag(step.place) : null;
}

/** The last one is for an ETag in the shape of one that is no time. */
const UNMET: ReadonlySet<string> = new Set(["UpdateConditionNotSatisfied", "ConditionNotMet", "InvalidInput"]);
