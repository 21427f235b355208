// What DynamoDB or the way to it said, as a StoreError with what to do about it. Of the service's words only names of
// errors are passed on; of its sentences those that are known here are looked at.
import { type CancellationReason, TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import { tlsCause } from "#kit/connect-cause.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

/** A StoreError that knows more for the driver's own use. */
export class DynamoError extends StoreError {
  /** Nothing was written, or writing it again changes nothing: a later attempt may fare better. */
  readonly again: boolean;
  /** The policy of the caller's role or user does not allow this action. */
  readonly denied: boolean;

  constructor(code: StoreErrorCode, message: string, more: { again?: boolean; denied?: boolean } = {}) {
    super(code, message);
    this.again = more.again ?? false;
    this.denied = more.denied ?? false;
  }
}

/** What was asked for. */
export interface Sent {
  /** "at localhost:8000", "in eu-central-1". */
  readonly place: string;
  readonly table: string;
  readonly partitionKey: string;
  /** A "repeatable" write changes nothing when it comes a second time: a transaction with its token. */
  readonly effect: "read" | "write" | "repeatable";
  /** The error's text where a condition does not hold, by the place of its item in the request. */
  readonly conflicts: readonly string[];
}

/** How an attempt was ended on this side. */
export type Ending = "left" | "late" | "closed";

const MAY_HAVE = "; the write may have happened";
const PAGE = "docs/stores/aws.dynamodb.md";

/** Nothing was written, and the next moment may be another. */
const THROTTLED = new Set([
  "ProvisionedThroughputExceededException",
  "ProvisionedThroughputExceeded",
  "RequestLimitExceeded",
  "ThrottlingException",
  "ThrottlingError",
  "Throttling",
]);

/** Another request is changing the same item at this moment. */
const CONTENDED = new Set(["TransactionConflictException", "TransactionConflict", "ReplicatedWriteConflictException"]);

/** The signature, or the keys that made it, are not taken. */
const NOT_KNOWN = new Set([
  "UnrecognizedClientException",
  "InvalidClientTokenId",
  "InvalidSignatureException",
  "SignatureDoesNotMatch",
  "IncompleteSignatureException",
  "IncompleteSignature",
  "MissingAuthenticationTokenException",
  "MissingAuthenticationToken",
]);

const EXPIRED = new Set(["ExpiredTokenException", "ExpiredToken"]);
const DENIED = new Set(["AccessDeniedException", "AccessDenied"]);

/** What the service's sentences on sizes have in common, and its other refusals have not. */
const TOO_LARGE = /exceed|must be under/i;

/** The error for an attempt that rejected with `error`. */
export function failureOf(error: unknown, sent: Sent): DynamoError {
  if (error instanceof DynamoError) return error;
  if (error instanceof TransactionCanceledException) return cancelledError(error.CancellationReasons ?? [], sent);
  const answer = answerIn(error);
  if (answer === null) return networkError(error, sent);
  return namedError(answer, sent) ?? unknownError(answer, sent);
}

interface Answer {
  readonly name: string;
  readonly message: string;
  readonly status: number;
  /** The client has learnt the service's time from this answer. */
  readonly clockCorrected: boolean;
}

/** What the service, or somebody in its place, has answered; null where there was no answer. */
function answerIn(error: unknown): Answer | null {
  if (!(error instanceof Error) || !("$metadata" in error)) return null;
  const metadata: { httpStatusCode?: number; clockSkewCorrected?: boolean } = Object(error.$metadata);
  const { httpStatusCode: status, clockSkewCorrected = false } = metadata;
  if (status === undefined) return null;
  return { name: error.name, message: error.message, status, clockCorrected: clockSkewCorrected };
}

function namedError({ name, message, clockCorrected }: Answer, sent: Sent): DynamoError | null {
  const server = `DynamoDB ${sent.place}`;
  if (name === "ConditionalCheckFailedException") return new DynamoError("etag-mismatch", sent.conflicts[0] ?? "");
  if (THROTTLED.has(name)) return throttledError(sent);
  if (CONTENDED.has(name)) return contendedError(sent);
  if (name === "TransactionInProgressException")
    return new DynamoError("unknown-outcome", `the transaction is still under way at ${server}${MAY_HAVE}`, {
      again: true,
    });
  if (name === "ResourceNotFoundException" || name === "TableNotFoundException")
    return new DynamoError("unavailable", `${server} has no table ${sent.table}; create it as ${PAGE} shows`);
  if (NOT_KNOWN.has(name))
    return new DynamoError("unavailable", `${server} does not accept the access key or its signature (${name})`, {
      again: clockCorrected,
    });
  if (EXPIRED.has(name)) return new DynamoError("unavailable", `the session of the keys for ${server} has expired`);
  if (DENIED.has(name))
    return new DynamoError("unavailable", `${server} does not allow this; see the rights in ${PAGE}`, { denied: true });
  return name === "ValidationException" ? invalidError(message, sent) : null;
}

/** For requests, or parts of one, that the service has not taken on. */
export function throttledError({ place, table }: Sent): DynamoError {
  const text = `DynamoDB ${place} throttles: the capacity of table ${table}, or of the account, is used up`;
  return new DynamoError("unavailable", text, { again: true });
}

function contendedError({ place }: Sent): DynamoError {
  const text = `DynamoDB ${place} is busy with another transaction on the same key; try again`;
  return new DynamoError("unavailable", text, { again: true });
}

function invalidError(message: string, { place, table, partitionKey }: Sent): DynamoError {
  const server = `DynamoDB ${place}`;
  if (TOO_LARGE.test(message))
    return new DynamoError(
      "refused",
      `too large for ${server}: a key has 2048 bytes, an item 400 KB, a transaction 4 MB at most`,
    );
  const text = `${server} refused the request as invalid: table ${table} must have the string ${partitionKey} as its hash key and no sort key; see partitionKey in ${PAGE}`;
  return new DynamoError("failed", text);
}

/** A condition that does not hold says the most; what another attempt mends comes last. */
function cancelledError(reasons: readonly CancellationReason[], sent: Sent): DynamoError {
  const conflict = reasons.findIndex(({ Code }) => Code === "ConditionalCheckFailed");
  if (conflict >= 0) return new DynamoError("etag-mismatch", sent.conflicts[conflict] ?? "");
  const invalid = reasons.find(({ Code }) => Code === "ValidationError");
  if (invalid !== undefined) return invalidError(invalid.Message ?? "", sent);
  if (reasons.some(({ Code = "" }) => THROTTLED.has(Code))) return throttledError(sent);
  if (reasons.some(({ Code = "" }) => CONTENDED.has(Code))) return contendedError(sent);
  return new DynamoError("failed", `DynamoDB ${sent.place} cancelled the transaction`);
}

/** Of servers on the way, which do not know what became of the request. */
const REQUEST_TIMEOUT = 408;

/** After a 5xx a write may have been made all the same; the service says so itself. */
function unknownError({ name, status }: Answer, sent: Sent): DynamoError {
  const server = `DynamoDB ${sent.place}`;
  if (status >= 400 && status < 500 && status !== REQUEST_TIMEOUT)
    return new DynamoError("failed", `${server} refused the request (${status} ${name})`);
  return doubtfulError(`${server} failed (${status})`, sent);
}

function doubtfulError(text: string, { effect }: Sent): DynamoError {
  if (effect === "read") return new DynamoError("unavailable", text, { again: true });
  return new DynamoError("unknown-outcome", `${text}${MAY_HAVE}`, { again: effect === "repeatable" });
}

/** Codes of Node for a request that never had a connection to go out on, besides those with `syscall` "connect". */
const NOT_CONNECTED = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN"]);
/** With these, some of the codes above come from a connection that stood, and on which the request may have gone out. */
const ON_CONNECTION = new Set<unknown>(["read", "write"]);
/** Nothing is sent before the certificate is accepted. */
const NOT_TRUSTED = /CERT|UNABLE_TO/;
/** These can come at any time of a connection. */
const TLS_TROUBLE = /ERR_TLS|ERR_SSL|EPROTO/;

function networkError(error: unknown, sent: Sent): DynamoError {
  const server = `DynamoDB ${sent.place}`;
  const { code, syscall, name }: { code?: unknown; syscall?: unknown; name?: unknown } = Object(error);
  const because = typeof code === "string" ? code : "";
  const cause = (error instanceof Error ? tlsCause(error.message) : null) ?? because;
  if (NOT_TRUSTED.test(because) || (TLS_TROUBLE.test(because) && sent.effect === "read"))
    return new DynamoError("unavailable", `cannot connect to ${server}: ${cause}; check endpoint and its certificate`);
  if (TLS_TROUBLE.test(because)) return doubtfulError(`TLS failed with ${server}: ${cause}`, sent);
  if (syscall === "connect" || (NOT_CONNECTED.has(because) && !ON_CONNECTION.has(syscall)))
    return new DynamoError("unavailable", `cannot connect to ${server}: ${because}`);
  // The client's own limit for a connection, or for one to become free, comes without a code.
  if (because === "" && name === "TimeoutError")
    return new DynamoError("unavailable", `no connection to ${server} in time`);
  if (because !== "") return doubtfulError(`lost the connection to ${server}`, sent);
  return doubtfulError(`no answer of DynamoDB's ${sent.place}`, sent);
}

/** An attempt that was given up on this side. `isOut`: the request may have left. */
export function endedError(ending: Ending, { place, effect }: Sent, isOut: boolean): DynamoError {
  const isWrite = isOut && effect !== "read";
  const written = isWrite ? MAY_HAVE : "";
  if (ending === "closed")
    return isWrite ? new DynamoError("unknown-outcome", `the store was closed${written}`) : closedError();
  if (ending === "left")
    return new DynamoError("timeout", `the caller left before DynamoDB ${place} answered${written}`);
  if (!isOut) return new DynamoError("unavailable", `no AWS credentials for DynamoDB ${place} in time`);
  return new DynamoError("timeout", `no answer from DynamoDB ${place} in time${written}`, {
    again: effect !== "write",
  });
}

/** No keys to sign with. What the SDK says about it may hold paths and addresses; its name is enough. */
export function credentialsError(error: unknown, { place }: Sent): DynamoError {
  const name = error instanceof Error ? error.name : "no error";
  const text = `no AWS credentials for DynamoDB ${place} (${name}); see accessKey, assumeRoleArn and roles in ${PAGE}`;
  return new DynamoError("unavailable", text);
}

export function closedError(): DynamoError {
  return new DynamoError("closed", "the store was closed");
}

/** Before anything was sent. */
export function leftError(): DynamoError {
  return new DynamoError("timeout", "the caller left before the work began");
}

export function crowdedError(waiting: number, { place }: Sent): DynamoError {
  return new DynamoError("unavailable", `${waiting} calls wait for DynamoDB ${place}`);
}
