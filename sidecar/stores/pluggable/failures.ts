// What a pluggable component or the connection to it said, as a StoreError. The component's own words are passed on: it is
// the user's program, and they are all that tells its author what is wrong.
import type { Metadata, ServiceError } from "@grpc/grpc-js";
import { BadRequest } from "#proto/gen/google/rpc/error_details.ts";
import { Status } from "#proto/gen/google/rpc/status.ts";
import { decodeMessage } from "#proto/wire.ts";
import { StoreError } from "../store.ts";

/** The component does not serve the method: what it cannot do, and no failure of what it can. */
export class NotServed extends StoreError {
  constructor(message: string) {
    super("failed", message);
  }
}

export interface Failed {
  readonly status: ServiceError;
  /** "pluggable component foo". */
  readonly who: string;
  readonly path: string;
  readonly isWrite: boolean;
}

const CANCELLED = 1;
const UNKNOWN = 2;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const FAILED_PRECONDITION = 9;
const ABORTED = 10;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const DATA_LOSS = 15;

/** After these nobody knows whether a write happened: the first is every plain error of a Go program. */
const DOUBTFUL = [CANCELLED, UNKNOWN, ABORTED, INTERNAL, UNAVAILABLE, DATA_LOSS];

/** How @grpc/grpc-js begins when there is no connection at all: the request has not left. */
const NOT_SENT = "No connection established";
/** The component's words are cut to so many characters. */
const WORDS_MAX = 500;

/** The error for a call that gRPC ended with a status other than OK. */
export function statusError({ status, who, path, isWrite }: Failed): StoreError {
  const { code, details, metadata } = status;
  const words = printable(details);
  const conflict = etagCode(code, metadata);
  if (conflict !== null) return new StoreError(conflict, `${who}: ${etagWords(metadata) ?? words}`);
  if (code === UNIMPLEMENTED) return new NotServed(`${who} does not serve ${path.slice(1)}`);
  const written = isWrite ? MAY_HAVE : "";
  if (code === DEADLINE_EXCEEDED) return new StoreError("timeout", `no answer from ${who} in time${written}`);
  if (code === UNAVAILABLE && details.startsWith(NOT_SENT)) return awayError(who);
  if (code === UNAVAILABLE && !isWrite) return new StoreError("unavailable", `${who} does not answer: ${words}`);
  if (isWrite && DOUBTFUL.includes(code)) return new StoreError("unknown-outcome", `${who}: ${words}${MAY_HAVE}`);
  return new StoreError("failed", `${who}: ${words}`);
}

const MAY_HAVE = "; the write may have happened";

/** FailedPrecondition or InvalidArgument with one BadRequest about "etag" (dapr-state-api.md 10.3). */
function etagCode(code: number, metadata: Metadata): "etag-mismatch" | "etag-invalid" | null {
  if (code !== FAILED_PRECONDITION && code !== INVALID_ARGUMENT) return null;
  if (etagWords(metadata) === null) return null;
  return code === FAILED_PRECONDITION ? "etag-mismatch" : "etag-invalid";
}

const ETAG_FIELD = "etag";

/** What the violation of the ETag says, or null when there is none. */
function etagWords(metadata: Metadata): string | null {
  const [bytes] = metadata.get("grpc-status-details-bin");
  if (!(bytes instanceof Uint8Array)) return null;
  try {
    const { details } = decodeMessage(Status, bytes);
    const [only] = details;
    if (only === undefined || details.length !== 1 || !only.typeUrl.endsWith("/google.rpc.BadRequest")) return null;
    const [violation, ...more] = decodeMessage(BadRequest, only.value).fieldViolations;
    return violation?.field === ETAG_FIELD && more.length === 0 ? printable(violation.description) : null;
  } catch {
    // Details that are none: the status stands for itself.
    return null;
  }
}

function printable(text: string): string {
  return text.slice(0, WORDS_MAX).replaceAll(/\p{Cc}+/gu, " ");
}

/** Nothing listens, or nothing has yet: no request has been sent. */
export function awayError(who: string): StoreError {
  return new StoreError("unavailable", `${who} is away: nothing listens on its socket`);
}

/** While the store opens. */
export function lateError(who: string): StoreError {
  return new StoreError("unavailable", `${who} listens, and did not answer within initTimeout`);
}

export function closedError(): StoreError {
  return new StoreError("closed", "the store was closed");
}

/** A call that was given up: by a caller who left, or by the store that was closed. */
export function abandonedError(ending: "left" | "closed", who: string, isWrite: boolean): StoreError {
  if (ending === "closed")
    return isWrite ? new StoreError("unknown-outcome", `the store was closed${MAY_HAVE}`) : closedError();
  return new StoreError("timeout", `the caller left before ${who} answered${isWrite ? MAY_HAVE : ""}`);
}

/** Before anything was sent. */
export function leftError(): StoreError {
  return new StoreError("timeout", "the caller left before the work began");
}
