// The only place that turns an error into an HTTP status and body (dapr-state-api.md 2). One row per code: a missing
// row is a compile error.
import type { Fault, StateError, StateErrorCode } from "../state/errors.ts";

/** A finished answer. */
export interface ErrorAnswer {
  readonly status: number;
  readonly body: string;
  /** `errorCode` of the body. */
  readonly code: string;
}

interface Row {
  /** `errorCode` of the body. */
  readonly tag: string;
  /** One status for all, or one per fault. */
  readonly status: number | Readonly<Record<Fault, number>>;
  /** `details` of the body, in Dapr's order; absent for the short form. */
  readonly details?: (error: StateError, appId: string | null) => readonly object[];
  /** The message when it is not the error's own. */
  readonly message?: (error: StateError) => string;
}

const BY_FAULT = { conflict: 409, invalid: 400, failed: 500 } as const;
const STORES_PAGE = "https://docs.dapr.io/reference/components-reference/supported-state-stores/";

const ROWS: Readonly<Record<StateErrorCode, Row>> = {
  "store-not-configured": {
    tag: "ERR_STATE_STORE_NOT_CONFIGURED",
    status: 500,
    details: (_error, appId) => [errorInfo("DAPR_STATE_NOT_CONFIGURED", appMetadata(appId))],
  },
  "store-not-found": {
    tag: "ERR_STATE_STORE_NOT_FOUND",
    status: 400,
    details: (_error, appId) => [errorInfo("DAPR_STATE_NOT_FOUND", appMetadata(appId))],
  },
  "illegal-key": {
    tag: "ERR_MALFORMED_REQUEST",
    status: 400,
    message: (error) => `api error: code = InvalidArgument desc = ${error.message}`,
    details: (error) => [
      badRequest(error.subject.key ?? "", error.message),
      resourceInfo(error.subject.store ?? ""),
      errorInfo("DAPR_STATE_ILLEGAL_KEY", null),
    ],
  },
  malformed: { tag: "ERR_MALFORMED_REQUEST", status: 400 },
  "get-failed": { tag: "ERR_STATE_GET", status: BY_FAULT },
  "save-failed": { tag: "ERR_STATE_SAVE", status: BY_FAULT },
  "delete-failed": { tag: "ERR_STATE_DELETE", status: BY_FAULT },
  "bulk-get-failed": { tag: "ERR_STATE_BULK_GET", status: BY_FAULT },
  "bulk-delete-failed": { tag: "ERR_STATE_BULK_DELETE", status: BY_FAULT },
  "list-failed": { tag: "ERR_STATE_LIST", status: BY_FAULT },
  "list-not-supported": {
    tag: "ERR_STATE_STORE_NOT_SUPPORTED",
    status: 500,
    details: (error) => [resourceInfo(error.subject.store ?? ""), errorInfo("PANNIER_STATE_LIST_NOT_SUPPORTED", null)],
  },
  "count-failed": { tag: "ERR_STATE_COUNT", status: BY_FAULT },
  "delete-by-prefix-failed": { tag: "ERR_STATE_DELETE_BY_PREFIX", status: BY_FAULT },
  "transaction-failed": { tag: "ERR_STATE_TRANSACTION", status: BY_FAULT },
  "transactions-not-supported": {
    tag: "ERR_STATE_STORE_NOT_SUPPORTED",
    status: 500,
    details: (error) => [
      help(STORES_PAGE, "Check the list of state stores and the features they support"),
      resourceInfo(error.subject.store ?? ""),
      errorInfo("DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED", null),
    ],
  },
  "query-failed": {
    tag: "ERR_STATE_QUERY",
    // Dapr's is 500 for a query that cannot be read, too (dapr-state-api.md 1.15).
    status: 500,
    details: (error) => [resourceInfo(error.subject.store ?? ""), errorInfo("DAPR_STATE_QUERY_FAILED", null)],
  },
  "query-not-supported": {
    tag: "ERR_STATE_STORE_NOT_SUPPORTED",
    status: 500,
    details: (error) => [resourceInfo(error.subject.store ?? ""), errorInfo("DAPR_STATE_QUERYING_NOT_SUPPORTED", null)],
  },
  "actor-get-failed": { tag: "ERR_ACTOR_STATE_GET", status: BY_FAULT },
  "actor-transaction-failed": { tag: "ERR_ACTOR_STATE_TRANSACTION_SAVE", status: BY_FAULT },
  "actor-store-missing": { tag: "ERR_ACTOR_RUNTIME_NOT_FOUND", status: 500 },
  "actor-type-reserved": { tag: "ERR_ACTOR_TYPE_RESERVED", status: 403 },
  "operation-not-supported": { tag: "ERR_NOT_SUPPORTED_STATE_OPERATION", status: 400 },
  "too-many-operations": {
    tag: "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS",
    status: 400,
    details: (error) => [
      resourceInfo(error.subject.store ?? ""),
      errorInfo("DAPR_STATE_TOO_MANY_TRANSACTIONS", {
        currentOpsTransaction: String(error.subject.operations ?? 0),
        maxOpsPerTransaction: String(error.subject.operationsMax ?? 0),
      }),
    ],
  },
};

/** Status and body of a state error. `appId`: null where Dapr's answer does not tell it. */
export function answerOf(error: StateError, appId: string | null): ErrorAnswer {
  const row = ROWS[error.code];
  const { status, errorCode, message } = describeError(error);
  const envelope: { errorCode: string; message: string; details?: readonly object[] } = { errorCode, message };
  if (row.details !== undefined) envelope.details = row.details(error, appId);
  return { status, body: goJson(envelope), code: row.tag };
}

/** What a state error is told as, also where it is one of many in an answer. */
export function describeError(error: StateError): { status: number; errorCode: string; message: string } {
  const row = ROWS[error.code];
  const status = typeof row.status === "number" ? row.status : row.status[error.fault];
  return { status, errorCode: row.tag, message: row.message === undefined ? error.message : row.message(error) };
}

/** Status and body of the short form. */
export function shortAnswer(status: number, errorCode: string, message: string): ErrorAnswer {
  return { status, body: goJson({ errorCode, message }), code: errorCode };
}

/** JSON with `<`, `>`, `&` and the two line separators escaped, as Go's encoder writes it. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function appMetadata(appId: string | null): Readonly<Record<string, string>> | null {
  return appId === null ? null : { appID: appId };
}

// Members in alphabetical order: Dapr's come out of a sorted map.
function errorInfo(reason: string, metadata: Readonly<Record<string, string>> | null): object {
  return { "@type": "type.googleapis.com/google.rpc.ErrorInfo", domain: "dapr.io", metadata, reason };
}

function resourceInfo(store: string): object {
  return {
    "@type": "type.googleapis.com/google.rpc.ResourceInfo",
    description: "",
    owner: "",
    resource_name: store,
    resource_type: "state",
  };
}

function badRequest(field: string, description: string): object {
  return { "@type": "type.googleapis.com/google.rpc.BadRequest", field_violations: [{ field, description }] };
}

function help(url: string, description: string): object {
  return { "@type": "type.googleapis.com/google.rpc.Help", links: [{ description, url }] };
}
