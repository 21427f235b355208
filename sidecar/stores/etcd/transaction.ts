// Changes as one transaction of etcd: conditions first, then for each key the change that stands at the end. etcd
// refuses two puts of one key, and all conditions are compared with the state before. Knows no connection.
import { type Change, StoreError } from "../store.ts";
import type { Compare, KeyValue, Operation, TxnRequest } from "./messages.ts";

/** A change's condition, or null where it has none. */
export interface Condition {
  readonly key: string;
  /** The revision that the value must have; null: there must be no value. */
  readonly modRevision: string | null;
  /** "change 2 of 3: ", or nothing for a change that is alone. */
  readonly place: string;
}

export interface Plan {
  readonly conditions: readonly Condition[];
  /** By key, the change that stands at the end. */
  readonly last: ReadonlyMap<string, Change>;
}

/** Throws etag-mismatch for an ETag that etcd never makes. `alone`: the errors name no place. */
export function planOf(changes: readonly Change[], alone: boolean): Plan {
  const conditions: Condition[] = [];
  const last = new Map<string, Change>();
  for (const [index, change] of changes.entries()) {
    const { key, etag, firstWrite } = change.kind === "upsert" ? change.write : change.removal;
    const place = alone ? "" : `change ${index + 1} of ${changes.length}: `;
    if (etag !== null && !isRevision(etag)) throw otherEtag(place);
    if (etag !== null || firstWrite) conditions.push({ key, modRevision: etag, place });
    last.set(key, change);
  }
  return { conditions, last };
}

export interface Encoding {
  nameOf(key: string): Buffer;
  operationOf(change: Change): Operation;
}

/** When a condition does not hold, the transaction looks at all that have one, so that the answer tells which. */
export function txnOf({ conditions, last }: Plan, { nameOf, operationOf }: Encoding): TxnRequest {
  const keys = new Set(conditions.map(({ key }) => key));
  return {
    compares: conditions.map(({ key, modRevision }): Compare => ({ key: nameOf(key), modRevision })),
    success: [...last.values()].map(operationOf),
    failure: [...keys].map((key) => ({ kind: "range", key: nameOf(key), end: null, limit: 1, keysOnly: true })),
  };
}

/** The error for the first condition that does not hold. `found`: the rows of its failed transaction, by key. */
export function conflictOf({ conditions }: Plan, found: ReadonlyMap<string, KeyValue>): StoreError {
  for (const { key, modRevision, place } of conditions) {
    const row = found.get(key);
    if (modRevision === null && row !== undefined)
      return new StoreError("etag-mismatch", `${place}item already exists and no etag was passed`);
    if (modRevision !== null && row === undefined)
      return new StoreError("etag-mismatch", `${place}there is no value under the key, or it has expired`);
    if (modRevision !== null && row?.modRevision !== modRevision) return otherEtag(place);
  }
  return new StoreError("failed", "etcd refused the transaction although all of its conditions hold");
}

function otherEtag(place: string): StoreError {
  return new StoreError("etag-mismatch", `${place}the value has another etag than the one passed`);
}

const REVISION_MAX = 2n ** 63n - 1n;
const REVISION_DIGITS_MAX = 19;

/** Whether a text is a revision as etcd tells it: decimal, from 1, without a zero before it. */
function isRevision(etag: string): boolean {
  if (etag.length > REVISION_DIGITS_MAX || !/^[1-9]\d*$/.test(etag)) return false;
  return BigInt(etag) <= REVISION_MAX;
}
