// Transactions. Every check of a transaction is in `transact` below, in the order in which Dapr makes them
// (dapr-state-api.md 1.9); whatever fails, nothing was written.
import { type Change, StoreError } from "../stores/store.ts";
import { invalid, malformed, StateError } from "./errors.ts";
import { type TransactionOperation, toRemoval, toWrite } from "./requests.ts";
import { type Caller, failure, type StateService, wrapChecks } from "./service.ts";
import type { StoreEntry } from "./table.ts";

const FAILED = "error while executing state transaction";

/** Throws transactions-not-supported unless the store has them. Surfaces ask before they read the body. */
export function requireTransactions(entry: StoreEntry): void {
  if (entry.store.features.transactions) return;
  const text = `state store ${entry.name} doesn't support transactions`;
  throw new StateError("transactions-not-supported", "failed", text, { store: entry.name });
}

/** Applies all operations or none. Throws transaction-failed, or the code of the check that failed. */
export async function transact(
  service: StateService,
  storeName: string,
  operations: readonly TransactionOperation[],
  call: Caller,
): Promise<void> {
  const entry = service.find(storeName);
  requireTransactions(entry);
  if (operations.length === 0) return;
  const changes = operations.map((operation, index) => toChange(entry, operation, { index, count: operations.length }));
  const { operationsMax } = entry.store.limits;
  if (operationsMax !== null && operations.length > operationsMax)
    throw tooMany(entry, operations.length, operationsMax);
  try {
    const conditional = changes.some(isConditional);
    await service.count(entry, "transaction", call, () =>
      service.attempt(entry, call, { retry: null, conditional }, async (each) => {
        if (entry.store.transact === undefined) throw new StoreError("failed", "the driver has no transactions");
        await entry.store.transact(changes, each);
      }),
    );
  } catch (error) {
    throw failure("transaction-failed", FAILED, error, entry);
  }
}

function isConditional(change: Change): boolean {
  const { etag, firstWrite } = change.kind === "upsert" ? change.write : change.removal;
  return etag !== null || firstWrite;
}

interface Place {
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

function toChange(entry: StoreEntry, operation: TransactionOperation, { index, count }: Place): Change {
  const { operation: word, request } = operation;
  if (word !== "upsert" && word !== "delete") throw unsupportedOperation(entry.name, word);
  const place = `operation ${index + 1} of ${count} (${word})`;
  if (request.key === "") throw malformed(`${place}: "key" is a required field`);
  return wrapChecks((): Change => {
    refuseProjection(operation, entry.name);
    if (word === "delete") return { kind: "delete", removal: toRemoval(entry, request, "transaction-failed") };
    return { kind: "upsert", write: toWrite(entry, request, "transaction-failed") };
  }, `${FAILED}: ${place}`);
}

/**
 * An outbox projection is a value to be published and not stored. There is no outbox here, so it could only be lost,
 * or stored although it must not be (dapr-state-api.md 10.2).
 */
function refuseProjection(operation: TransactionOperation, store: string): void {
  const word = operation.request.metadata["outbox.projection"];
  if (word === undefined || !TRUE_WORDS.has(word.toLowerCase())) return;
  const text =
    "metadata outbox.projection: Pannier has no outbox, so the projection would be lost; remove the operation";
  throw invalid("transaction-failed", text, store);
}

/** The words that Dapr takes for true. */
const TRUE_WORDS: ReadonlySet<string> = new Set(["y", "yes", "true", "t", "on", "1"]);

function tooMany(entry: StoreEntry, operations: number, operationsMax: number): StateError {
  const text = `the transaction contains ${operations} operations, which is more than what the state store supports: ${operationsMax}`;
  return new StateError("too-many-operations", "invalid", text, { store: entry.name, operations, operationsMax });
}

function unsupportedOperation(store: string, word: string): StateError {
  return invalid("operation-not-supported", `operation type ${word} not supported`, store);
}
