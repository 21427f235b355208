// What changes come to: conditions on the entities that are there, and for each key the change that stands at the end. Of
// several of one key the last one counts, for all are judged by the state before the first. Knows no call.
import type { EntityResult, Mutation } from "#proto/gen/clients/google/datastore/v1/datastore.ts";
import { type Change, StoreError, type Write } from "../store.ts";
import { conflict } from "./failures.ts";
import { entityOf, etagOf, foundOf, keyOf, type Layout, mustFit } from "./layout.ts";
import type { Work } from "./transaction.ts";

/** Datastore's limit for the mutations of a commit. */
export const CHANGES_MAX = 500;
/** Datastore's limit for a transaction, in bytes. */
const COMMIT_BYTES_MAX: number = 10 * 1024 * 1024;
/** What a change adds to its key, kind and value in a request, in bytes; rounded up. */
const CHANGE_BYTES_OWN = 100;

interface Condition {
  readonly key: string;
  /** Null: no entity may be there. */
  readonly etag: string | null;
  /** "change 2 of 3: ", or nothing for a change that is alone. */
  readonly where: string;
}

/** Judges values and keys by themselves; throws a StoreError that names the change. */
export function workOf(layout: Layout, changes: readonly Change[], alone: boolean): Work<void> {
  const insert = alone ? insertOf(layout, changes) : null;
  if (insert !== null) return insert;
  const conditions: Condition[] = [];
  const last = new Map<string, Write | null>();
  for (const [index, change] of changes.entries()) {
    const where = alone ? "" : `change ${index + 1} of ${changes.length}: `;
    const { key, etag, firstWrite } = change.kind === "upsert" ? change.write : change.removal;
    mustFit(change, where);
    if (etag !== null || firstWrite) conditions.push({ key, etag, where });
    last.set(key, change.kind === "upsert" ? change.write : null);
  }
  const mutations = [...last].map(([key, write]) => mutationOf(layout, key, write));
  mustFitTogether(layout, last);
  return {
    keys: [...new Set(conditions.map(({ key }) => key))],
    decide(entities) {
      for (const condition of conditions) check(condition, entities.get(condition.key));
      return { mutations, result: undefined };
    },
  };
}

/** A first-write alone needs no look: Datastore refuses an insert over what is there. */
function insertOf(layout: Layout, [change]: readonly Change[]): Work<void> | null {
  if (change?.kind !== "upsert" || !change.write.firstWrite || change.write.etag !== null) return null;
  mustFit(change, "");
  const insert = entityOf(layout, change.write.key, change.write.bytes);
  const mutations: Mutation[] = [{ operation: { $case: "insert", insert } }];
  return { keys: [], decide: () => ({ mutations, result: undefined }) };
}

function mutationOf(layout: Layout, key: string, write: Write | null): Mutation {
  if (write === null) return { operation: { $case: "delete", delete: keyOf(layout, key) } };
  return { operation: { $case: "upsert", upsert: entityOf(layout, key, write.bytes) } };
}

/** Datastore's own answer to what is too large comes late, and not in every case. */
function mustFitTogether({ kind }: Layout, last: ReadonlyMap<string, Write | null>): void {
  if (last.size === 1) return;
  let bytes = 0;
  for (const [key, write] of last)
    bytes += CHANGE_BYTES_OWN + Buffer.byteLength(key) + Buffer.byteLength(kind) + (write?.bytes.length ?? 0);
  if (bytes > COMMIT_BYTES_MAX)
    throw new StoreError("refused", `a transaction of ${bytes} bytes, want at most ${COMMIT_BYTES_MAX}`);
}

function check({ etag, where }: Condition, entity: EntityResult | undefined): void {
  if (etag === null) {
    if (entity !== undefined) throw conflict(where, "item already exists and no etag was passed");
  } else if (entity === undefined) throw conflict(where, "there is no value under the key");
  else if (etagOf(entity) !== etag) throw conflict(where, "the value has another etag than the one passed");
}

/** Deletes what a walk told, and gives how many it deleted; what is not in this layout stays. At most CHANGES_MAX names. */
export function removalOf(layout: Layout, keys: readonly string[]): Work<number> {
  return {
    keys,
    decide(entities) {
      const mutations = [...entities]
        .filter(([, entity]) => isOurs(entity))
        .map(([key]) => mutationOf(layout, key, null));
      return { mutations, result: mutations.length };
    },
  };
}

/** Whether an entity has this layout's property. */
export function isOurs(entity: EntityResult): boolean {
  try {
    foundOf(entity);
    return true;
  } catch (error) {
    if (error instanceof StoreError) return false;
    throw error;
  }
}
