// The changes of a transaction before there is one: what they come to, what they ask for, and how it is said that it does not
// hold. Knows no statement and no layout.
import { type Change, StoreError, type Write } from "../store.ts";

/**
 * What changes come to: of several of one key the last one counts, for all are judged by the state before the first. Keys
 * are sorted, so that transactions that share some meet them in the same order.
 */
export interface Batch<E, R> {
  readonly keys: readonly string[];
  /** In the order of the changes. */
  readonly conditions: readonly Condition<E>[];
  /** Keys whose last change is a delete. */
  readonly removed: readonly string[];
  /** Rows of those whose last change is a write. */
  readonly put: readonly R[];
}

export interface Condition<E> {
  readonly key: string;
  /** As the driver compares it; null: no live row may be there. */
  readonly etag: E | null;
  /** "change 2 of 3: " */
  readonly where: string;
}

/** Each throws a StoreError for what the layout cannot hold. */
export interface BatchOptions<E, R> {
  readonly checkKey: (key: string, isWritten: boolean) => void;
  readonly toEtag: (etag: string) => E;
  /** `where`: see {@link Condition}, for what shows only later. */
  readonly toRow: (write: Write, where: string) => R;
}

/** Judges keys, ETags and values by themselves. Throws a StoreError that names the change. */
export function batchOf<E, R>(changes: readonly Change[], options: BatchOptions<E, R>): Batch<E, R> {
  const conditions: Condition<E>[] = [];
  const last = new Map<string, { readonly row: R } | null>();
  for (const [index, change] of changes.entries()) {
    const where = `change ${index + 1} of ${changes.length}: `;
    naming(where, () => {
      const { key, etag } = change.kind === "upsert" ? change.write : change.removal;
      options.checkKey(key, change.kind === "upsert");
      if (etag !== null) conditions.push({ key, etag: options.toEtag(etag), where });
      else if (change.kind === "upsert" && change.write.firstWrite) conditions.push({ key, etag: null, where });
      last.set(key, change.kind === "upsert" ? { row: options.toRow(change.write, where) } : null);
    });
  }
  const keys = [...last.keys()].sort();
  const put = keys.map((key) => last.get(key) ?? null).filter((each) => each !== null);
  return {
    keys,
    conditions,
    removed: keys.filter((key) => last.get(key) === null),
    put: put.map(({ row }) => row),
  };
}

function naming(where: string, judge: () => void): void {
  try {
    judge();
  } catch (error) {
    if (error instanceof StoreError) throw new StoreError(error.code, where + error.message);
    throw error;
  }
}

/** `etags`: of the live rows. Throws a StoreError of code `etag-mismatch` for the first condition that does not hold. */
export function mustHold<E>(
  conditions: readonly Condition<E>[],
  etags: ReadonlyMap<string, unknown>,
  isSame: (held: unknown, given: E) => boolean = Object.is,
): void {
  for (const { key, etag, where } of conditions) {
    if (etag === null) {
      if (etags.has(key)) throw alreadyThere(where);
    } else if (!etags.has(key)) throw mismatch(`${where}there is no value under the key, or it has expired`);
    else if (!isSame(etags.get(key), etag)) throw mismatch(`${where}the value has another etag than the one passed`);
  }
}

/** For a first write. `where`: see {@link Condition}; "" for a single one. */
export function alreadyThere(where: string): StoreError {
  return mismatch(`${where}item already exists and no etag was passed`);
}

/** For a single write or delete, whose statement does not tell which of both it is. */
export function otherEtag(): StoreError {
  return mismatch("the value has another etag than the one passed, or there is none");
}

function mismatch(message: string): StoreError {
  return new StoreError("etag-mismatch", message);
}
