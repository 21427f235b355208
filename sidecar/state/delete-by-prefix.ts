// Deleting all keys that begin with a prefix, in steps, with the number of what was deleted. A mistake here costs data, so
// what could be meant otherwise is refused and not guessed.
import type { ListedRow, ListPage, Removal, Store } from "../stores/store.ts";
import { invalid, type StateError } from "./errors.ts";
import { runEach } from "./outcomes.ts";
import { type Caller, failure, type StateService, type StepRules } from "./service.ts";
import type { StoreEntry } from "./table.ts";
import { checkedLimit, nextPage, tooManyPages, toWalk, WALK_PAGE_ROWS, type Walk, walkPagesMax } from "./walk.ts";

/** Rows that one request deletes when it does not say, and at most. */
export const DELETE_LIMIT_DEFAULT = 10_000;
export const DELETE_LIMIT_MAX = 100_000;

/** What is deleted twice is deleted. */
const REPEATABLE: StepRules = { retry: null, conditional: false };

const PLAIN_REMOVAL: Omit<Removal, "key"> = { etag: null, firstWrite: false, strong: false, metadata: {} };

export interface DeleteByPrefixRequest {
  readonly prefix: string;
  /** Every key is meant. Goes with an empty prefix, and an empty prefix with it. */
  readonly all: boolean;
  /** Most rows to delete, 1 to {@link DELETE_LIMIT_MAX}; null for {@link DELETE_LIMIT_DEFAULT}. */
  readonly limit: number | null;
}

export interface DeletedByPrefix {
  /** At least so many: a step that was tried again after a lost answer may have deleted more. */
  readonly deleted: number;
  /** The limit ended it, and there may be more. */
  readonly more: boolean;
}

/**
 * Deletes the keys that begin with a prefix, whatever they hold; not one transaction. Throws list-not-supported,
 * illegal-key, or delete-by-prefix-failed: of fault `invalid` for a request that is refused, otherwise its text says how
 * many were deleted by then.
 */
export async function deleteByPrefix(
  service: StateService,
  storeName: string,
  request: DeleteByPrefixRequest,
  caller: Caller,
): Promise<DeletedByPrefix> {
  const walk = toWalk(service, storeName, request.prefix);
  const { entry } = walk;
  const rule = { entry, code: "delete-by-prefix-failed", usual: DELETE_LIMIT_DEFAULT, max: DELETE_LIMIT_MAX } as const;
  const limit = checkedLimit(request.limit, rule);
  const refusal = refusalOf(entry, request);
  if (refusal !== null) throw refusal;
  const progress: Progress = { limit, deleted: 0 };
  try {
    const removeRange = entry.store.removeRange?.bind(entry.store);
    const more = await service.count(entry, "delete_by_prefix", caller, () =>
      removeRange === undefined
        ? deleteByWalk(walk, progress, caller)
        : deleteRange(walk, removeRange, progress, caller),
    );
    return { deleted: progress.deleted, more };
  } catch (error) {
    const text = `failed deleting keys in state store ${entry.name} after ${progress.deleted} were deleted`;
    throw failure("delete-by-prefix-failed", text, error, entry);
  }
}

function refusalOf(entry: StoreEntry, { prefix, all }: DeleteByPrefixRequest): StateError | null {
  const refuse = (text: string): StateError => invalid("delete-by-prefix-failed", text, entry.name);
  if (entry.keyPrefix === "" && !entry.core.allowUnscopedDelete) {
    return refuse(
      `state store ${entry.name} has no key prefix (keyPrefix none, or no app id), so that the keys may be other applications'; ` +
        `if they may be deleted all the same, set allowUnscopedDelete: "true" in the Component's metadata`,
    );
  }
  if (prefix === "" && !all) {
    return refuse('prefix: got none, want the beginning of the keys to delete, or "all": true to delete every key');
  }
  if (prefix !== "" && all) {
    return refuse('all: got true together with a prefix, want one of the two: "all" deletes every key');
  }
  return null;
}

interface Progress {
  readonly limit: number;
  deleted: number;
}

/** Gives whether there may be more. */
async function deleteRange(
  { service, entry, range }: Walk,
  removeRange: NonNullable<Store["removeRange"]>,
  progress: Progress,
  caller: Caller,
): Promise<boolean> {
  while (progress.deleted < progress.limit) {
    const step = Math.min(WALK_PAGE_ROWS, progress.limit - progress.deleted);
    const removed = await service.attempt(entry, caller, REPEATABLE, (call) => removeRange(range, step, call));
    progress.deleted += removed;
    if (removed < step) return false;
  }
  return true;
}

/** The same for a store that is walked. */
async function deleteByWalk(walk: Walk, progress: Progress, caller: Caller): Promise<boolean> {
  let after: string | null = null;
  for (let pages = 0; pages < walkPagesMax(walk.entry); pages++) {
    const limit = Math.min(WALK_PAGE_ROWS, progress.limit - progress.deleted);
    const page: ListPage = await nextPage(walk, { after, limit, values: false }, caller);
    await deleteRows(walk, page.rows, progress, caller);
    after = page.next;
    if (after === null) return false;
    if (progress.deleted >= progress.limit) return true;
  }
  const text = `${tooManyPages(walk.entry)}; ${progress.deleted} were deleted`;
  throw invalid("delete-by-prefix-failed", text, walk.entry.name);
}

async function deleteRows(
  { service, entry }: Walk,
  rows: readonly ListedRow[],
  progress: Progress,
  caller: Caller,
): Promise<void> {
  const removeListed = entry.store.removeListed?.bind(entry.store);
  if (rows.length === 0) return;
  if (removeListed !== undefined) {
    const keys = rows.map(({ key }) => key);
    progress.deleted += await service.attempt(entry, caller, REPEATABLE, (call) => removeListed(keys, call));
    return;
  }
  const outcomes = await runEach(rows, ({ key }) => service.erase(entry, { ...PLAIN_REMOVAL, key }, null, caller));
  const failed = outcomes.filter(({ error }) => error !== null);
  progress.deleted += outcomes.length - failed.length;
  if (failed[0] !== undefined) throw failed[0].error;
}
