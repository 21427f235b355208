// Bulk saves and deletes that answer for each item. They go the way of a single save or delete, item by item: an item
// that is refused, conflicts or fails says so, and the others are done.
import type { StateOperation } from "../metrics.ts";
import { invalid, StateError, type StateErrorCode } from "./errors.ts";
import { mayHaveHappened } from "./outcomes.ts";
import { type DeleteRequest, type SaveRequest, toRemoval, toWrite } from "./requests.ts";
import { type Caller, deletingIn, type StateService, savingIn, toStateError, wrapChecks } from "./service.ts";
import type { StoreEntry } from "./table.ts";

/** Most items of one request. */
const ITEMS_MAX = 100_000;

export interface ItemOutcome {
  readonly key: string;
  /** Null when it is done. */
  readonly error: StateError | null;
  /** With an error: nobody knows whether it was done. */
  readonly mayHaveHappened: boolean;
}

/**
 * Saves each item by itself; the answer has one outcome per item, in their order, with errors of code save-failed or
 * illegal-key. Items of one key are written in their order. Throws save-failed for too many items, and store-not-found.
 */
export function saveEach(
  service: StateService,
  storeName: string,
  requests: readonly SaveRequest[],
  caller: Caller,
): Promise<readonly ItemOutcome[]> {
  const entry = service.find(storeName);
  return writeEach(service, caller, {
    entry,
    requests,
    operation: "set",
    code: "save-failed",
    tooMany: "save-failed",
    text: () => savingIn(entry),
    check: (request) => toWrite(entry, request, "save-failed"),
    write: (write, request) => service.write(entry, write, request.retry, caller),
  });
}

/**
 * Deletes each item by itself; the answer has one outcome per item, in their order, with errors of code delete-failed or
 * illegal-key. Deleting what is not there succeeds, unless the item has an ETag. Throws bulk-delete-failed for too many
 * items, and store-not-found.
 */
export function deleteEach(
  service: StateService,
  storeName: string,
  requests: readonly DeleteRequest[],
  caller: Caller,
): Promise<readonly ItemOutcome[]> {
  const entry = service.find(storeName);
  return writeEach(service, caller, {
    entry,
    requests,
    operation: "bulk_delete",
    code: "delete-failed",
    tooMany: "bulk-delete-failed",
    text: deletingIn,
    check: (request) => toRemoval(entry, request, "delete-failed"),
    write: (removal, request) => service.erase(entry, removal, request.retry, caller),
  });
}

interface Plan<Request extends { readonly key: string }, Checked> {
  readonly entry: StoreEntry;
  readonly requests: readonly Request[];
  readonly operation: StateOperation;
  /** Of an item's error, and of the one for too many items. */
  readonly code: StateErrorCode;
  readonly tooMany: StateErrorCode;
  /** What stands before an item's error. */
  readonly text: (key: string) => string;
  /** Throws a StateError for an item that is refused. */
  readonly check: (request: Request) => Checked;
  readonly write: (checked: Checked, request: Request) => Promise<void>;
}

async function writeEach<Request extends { readonly key: string }, Checked>(
  service: StateService,
  caller: Caller,
  plan: Plan<Request, Checked>,
): Promise<readonly ItemOutcome[]> {
  const { entry, requests, operation, code, text } = plan;
  if (requests.length > ITEMS_MAX) {
    throw invalid(plan.tooMany, `a request of ${requests.length} items, want at most ${ITEMS_MAX}`, entry.name);
  }
  const step = async (request: Request): Promise<void> => {
    const checked = wrapChecks(() => plan.check(request), text(request.key));
    await plan.write(checked, request);
  };
  const outcomes = await service.each(entry, { operation, items: requests, step }, caller);
  return outcomes.map(({ key, error }) => {
    if (error === null) return { key, error, mayHaveHappened: false };
    const told = error instanceof StateError ? error : toStateError(code, text(key), error, entry);
    return { key, error: told, mayHaveHappened: mayHaveHappened(error) };
  });
}
