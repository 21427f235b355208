// The only place that turns an error into a gRPC status with its details (dapr-state-api.md 2 and 3.3). One row per code:
// a missing row is a compile error.
import type { Any } from "#proto/gen/google/protobuf/any.ts";
import { BadRequest, ErrorInfo, Help, ResourceInfo } from "#proto/gen/google/rpc/error_details.ts";
import { Status as RpcStatus } from "#proto/gen/google/rpc/status.ts";
import { encodeMessage, type MessageType } from "#proto/wire.ts";
import type { Fault, StateError, StateErrorCode } from "../state/errors.ts";
import { Code, type CodeName, type Status } from "./codes.ts";

interface Row {
  /** `errorCode` of the same error over HTTP, which is the reason of a plain error here. */
  readonly tag: string;
  /** One code for all, or one per fault. */
  readonly code: CodeName | Readonly<Record<Fault, CodeName>>;
  /** In Dapr's order; absent: an ErrorInfo with the tag. */
  readonly details?: (error: StateError) => readonly Any[];
}

const BY_FAULT = { conflict: "Aborted", invalid: "InvalidArgument", failed: "Internal" } as const;
const STORES_PAGE = "https://docs.dapr.io/reference/components-reference/supported-state-stores/";

const ROWS: Readonly<Record<StateErrorCode, Row>> = {
  // No app id in these two: Dapr tells it over HTTP only.
  "store-not-configured": {
    tag: "ERR_STATE_STORE_NOT_CONFIGURED",
    code: "FailedPrecondition",
    details: () => [errorInfo("DAPR_STATE_NOT_CONFIGURED")],
  },
  "store-not-found": {
    tag: "ERR_STATE_STORE_NOT_FOUND",
    code: "InvalidArgument",
    details: () => [errorInfo("DAPR_STATE_NOT_FOUND")],
  },
  "illegal-key": {
    tag: "ERR_MALFORMED_REQUEST",
    code: "InvalidArgument",
    details: (error) => [
      badRequest(cut(error.subject.key ?? ""), cut(error.message)),
      resourceInfo(error),
      errorInfo("DAPR_STATE_ILLEGAL_KEY"),
    ],
  },
  malformed: { tag: "ERR_MALFORMED_REQUEST", code: "InvalidArgument" },
  "get-failed": { tag: "ERR_STATE_GET", code: BY_FAULT },
  "save-failed": { tag: "ERR_STATE_SAVE", code: BY_FAULT },
  "delete-failed": { tag: "ERR_STATE_DELETE", code: BY_FAULT },
  "bulk-get-failed": {
    tag: "ERR_STATE_BULK_GET",
    // Dapr hands the store's own error through, which gRPC then calls unknown.
    code: { conflict: "Aborted", invalid: "InvalidArgument", failed: "Unknown" },
    details: () => [],
  },
  "bulk-delete-failed": { tag: "ERR_STATE_BULK_DELETE", code: BY_FAULT },
  "list-failed": { tag: "ERR_STATE_LIST", code: BY_FAULT },
  "list-not-supported": {
    tag: "ERR_STATE_STORE_NOT_SUPPORTED",
    code: "Unimplemented",
    details: (error) => [resourceInfo(error), errorInfo("PANNIER_STATE_LIST_NOT_SUPPORTED")],
  },
  "count-failed": { tag: "ERR_STATE_COUNT", code: BY_FAULT },
  "delete-by-prefix-failed": { tag: "ERR_STATE_DELETE_BY_PREFIX", code: BY_FAULT },
  "transaction-failed": { tag: "ERR_STATE_TRANSACTION", code: BY_FAULT },
  "transactions-not-supported": {
    tag: "ERR_STATE_STORE_NOT_SUPPORTED",
    code: "Unimplemented",
    details: (error) => [storesHelp(), resourceInfo(error), errorInfo("DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED")],
  },
  "query-failed": {
    tag: "ERR_STATE_QUERY",
    // Dapr's is Internal for a query that cannot be read, too (dapr-state-api.md 1.15).
    code: "Internal",
    details: (error) => [resourceInfo(error), errorInfo("DAPR_STATE_QUERY_FAILED")],
  },
  "query-not-supported": {
    tag: "ERR_STATE_STORE_NOT_SUPPORTED",
    code: "Internal",
    details: (error) => [resourceInfo(error), errorInfo("DAPR_STATE_QUERYING_NOT_SUPPORTED")],
  },
  "actor-get-failed": { tag: "ERR_ACTOR_STATE_GET", code: BY_FAULT },
  "actor-transaction-failed": { tag: "ERR_ACTOR_STATE_TRANSACTION_SAVE", code: BY_FAULT },
  "actor-store-missing": { tag: "ERR_ACTOR_RUNTIME_NOT_FOUND", code: "Internal" },
  "actor-type-reserved": { tag: "ERR_ACTOR_TYPE_RESERVED", code: "PermissionDenied" },
  "operation-not-supported": { tag: "ERR_NOT_SUPPORTED_STATE_OPERATION", code: "Unimplemented" },
  "too-many-operations": {
    tag: "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS",
    code: "InvalidArgument",
    details: (error) => [
      resourceInfo(error),
      errorInfo("DAPR_STATE_TOO_MANY_TRANSACTIONS", {
        currentOpsTransaction: String(error.subject.operations ?? 0),
        maxOpsPerTransaction: String(error.subject.operationsMax ?? 0),
      }),
    ],
  },
};

/** An error that only gRPC has: a token, a limit, a method that is not there. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly code: CodeName;
  readonly details: readonly Any[];

  constructor(code: CodeName, message: string, details: readonly Any[] = []) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The form of what a call list or a token refuses: the words of an HTTP answer (dapr-state-api.md 3.3 and 8.5). */
export function refusal(code: CodeName, message: string, http: { code: number; error: string }): CallError {
  const metadata = { "http.code": String(http.code), "http.error_message": http.error };
  return new CallError(code, message, [errorInfo(message, metadata)]);
}

export function statusOf(error: StateError | CallError): Status {
  if (error instanceof CallError) return status(error.code, error.message, error.details);
  const { tag, details } = ROWS[error.code];
  return status(codeOf(error), error.message, details === undefined ? [errorInfo(tag)] : details(error));
}

export function codeOf(error: StateError): CodeName {
  const { code } = ROWS[error.code];
  return typeof code === "string" ? code : code[error.fault];
}

/** `errorCode` of the same error over HTTP. */
export function tagOf(error: StateError): string {
  return ROWS[error.code].tag;
}

function status(code: CodeName, text: string, details: readonly Any[]): Status {
  const message = cut(text);
  if (details.length === 0) return { code, message, details: null };
  return { code, message, details: encodeMessage(RpcStatus, { code: Code[code], message, details: [...details] }) };
}

/**
 * Longest text in a status, in bytes as the wire has them. Clients take 8 KiB of trailers (grpc-java's default), and the
 * text can stand in them three times, once percent-encoded and twice in base64.
 */
const TEXT_BYTES_MAX = 1500;

/** The text, or its beginning where it is too long; always well-formed, which percent-encoding asks for. */
function cut(text: string): string {
  let kept = text.toWellFormed();
  if (encodeURI(kept).length <= TEXT_BYTES_MAX) return kept;
  while (encodeURI(kept).length > TEXT_BYTES_MAX) kept = kept.slice(0, Math.floor(kept.length * 0.8)).toWellFormed();
  return `${kept}…`;
}

function errorInfo(reason: string, metadata: Record<string, string> = {}): Any {
  return any("ErrorInfo", ErrorInfo, { reason, domain: "dapr.io", metadata });
}

function resourceInfo(error: StateError): Any {
  const resourceName = error.subject.store ?? "";
  return any("ResourceInfo", ResourceInfo, { resourceType: "state", resourceName, owner: "", description: "" });
}

function badRequest(field: string, description: string): Any {
  return any("BadRequest", BadRequest, { fieldViolations: [{ field, description }] });
}

function storesHelp(): Any {
  const description = "Check the list of state stores and the features they support";
  return any("Help", Help, { links: [{ description, url: STORES_PAGE }] });
}

function any<T>(name: string, type: MessageType<T>, message: T): Any {
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value: encodeMessage(type, message) };
}
