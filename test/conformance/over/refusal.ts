// From what the API answers back to the error that a driver would have thrown, the same for both protocols. What an answer
// may not look like is no StoreError, so that the case fails by it.
import { StoreError, type StoreErrorCode } from "#sidecar/stores/store.ts";

/** A refused call in the words of both protocols. */
export interface Refusal {
  readonly fault: "conflict" | "invalid" | "failed";
  /** `errorCode` over HTTP; the same over gRPC, where it is the reason of an ErrorInfo. */
  readonly errorCode: string;
  readonly message: string;
  /** Only bulk writes with a result per item tell it. */
  readonly mayHaveHappened: boolean;
}

/** An error of the API. Its errorCode is kept for comparison. */
export class ApiError extends StoreError {
  readonly errorCode: string;

  constructor(code: StoreErrorCode, { errorCode, message }: Pick<Refusal, "errorCode" | "message">) {
    super(code, message);
    this.errorCode = errorCode;
  }
}

/** What any call may be refused with, whatever it asks for (dapr-state-api.md 2). */
const ANY_CALL: readonly string[] = ["ERR_MALFORMED_REQUEST", "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS"];
const MISMATCH = "possible etag mismatch. error from state store: ";
const INVALID = "invalid etag value: ";

/** The StoreError of a refusal. Throws when its `errorCode` is not the one of the call, or the text not of the fault. */
export function toStoreError(refusal: Refusal, callCode: string): ApiError {
  const { fault, errorCode, message, mayHaveHappened } = refusal;
  if (errorCode !== callCode && !ANY_CALL.includes(errorCode)) {
    throw new Error(`errorCode ${errorCode} (${message}), want ${callCode}`);
  }
  if (mayHaveHappened) return new ApiError("unknown-outcome", refusal);
  if ((fault === "conflict") !== message.includes(MISMATCH)) throw new Error(`a ${fault} that says: ${message}`);
  if (fault === "conflict") return new ApiError("etag-mismatch", refusal);
  if (fault === "failed") return new ApiError("failed", refusal);
  return new ApiError(message.includes(INVALID) ? "etag-invalid" : "refused", refusal);
}

/** The error of a call whose client left, or that did not reach the server. */
export function lostCall(cause: unknown, signal: AbortSignal): StoreError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new StoreError(signal.aborted ? "timeout" : "unknown-outcome", text, { cause });
}

/** `ttlExpireTime` as a time; null for none. */
export function expiresAtMs(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new Error(`ttlExpireTime: got ${text}`);
  return ms;
}
