// What the state API can answer instead of a result. Knows no HTTP and no gRPC: one table per surface turns codes into
// statuses. Codes follow dapr-state-api.md 2.
import { StoreError } from "../stores/store.ts";

export type StateErrorCode =
  | "store-not-configured"
  | "store-not-found"
  | "illegal-key"
  | "malformed"
  | "get-failed"
  | "save-failed"
  | "delete-failed"
  | "bulk-get-failed"
  | "bulk-delete-failed"
  | "list-failed"
  | "list-not-supported"
  | "count-failed"
  | "delete-by-prefix-failed"
  | "transaction-failed"
  | "transactions-not-supported"
  | "query-failed"
  | "query-not-supported"
  | "actor-get-failed"
  | "actor-transaction-failed"
  | "actor-store-missing"
  | "actor-type-reserved"
  | "operation-not-supported"
  | "too-many-operations";

/** Whose doing it was: the value changed meanwhile, the caller asked for what cannot be, or the store failed. */
export type Fault = "conflict" | "invalid" | "failed";

/** Names and numbers that some answers carry besides the text. */
export interface StateErrorSubject {
  readonly store?: string;
  readonly key?: string;
  readonly operations?: number;
  readonly operationsMax?: number;
}

export class StateError extends Error {
  override readonly name = "StateError";
  readonly code: StateErrorCode;
  readonly fault: Fault;
  readonly subject: StateErrorSubject;

  constructor(code: StateErrorCode, fault: Fault, message: string, subject: StateErrorSubject = {}, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.fault = fault;
    this.subject = subject;
  }
}

/** The text of a store's error as Dapr words it (dapr-state-stores.md 0.1). */
export function storeErrorText(error: unknown): string {
  if (error instanceof StoreError && error.code === "etag-mismatch") {
    return `possible etag mismatch. error from state store: ${error.message}`;
  }
  if (error instanceof StoreError && error.code === "etag-invalid") return `invalid etag value: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

/** Whose doing a store's error is. */
export function faultOf(error: unknown): Fault {
  if (error instanceof StateError) return error.fault;
  if (!(error instanceof StoreError)) return "failed";
  if (error.code === "etag-mismatch") return "conflict";
  return error.code === "etag-invalid" || error.code === "refused" ? "invalid" : "failed";
}

export function storeNotConfigured(store: string): StateError {
  return new StateError("store-not-configured", "failed", `state store ${store} is not configured`, { store });
}

export function storeNotFound(store: string): StateError {
  return new StateError("store-not-found", "invalid", `state store ${store} is not found`, { store });
}

/** The text wraps a gRPC status, as Dapr's does over HTTP (dapr-state-api.md 1.10). */
export function illegalKey(store: string, key: string): StateError {
  return new StateError("illegal-key", "invalid", `input key/keyPrefix '${key}' can't contain '||'`, { store, key });
}

export function malformed(message: string): StateError {
  return new StateError("malformed", "invalid", message);
}

/** A request that is well formed and asks for what this store or this API does not have. */
export function invalid(code: StateErrorCode, message: string, store: string): StateError {
  return new StateError(code, "invalid", message, { store });
}

export function queryNotSupported(store: string): StateError {
  return new StateError("query-not-supported", "failed", "state store does not support querying", { store });
}
