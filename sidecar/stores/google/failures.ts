// What one of Google's services, or the way to it, ended a call with, as a StoreError: gRPC's numbers mean the same for all
// of them. A service's own words are in `details` for its driver to look at; no text for people holds them, for they can
// hold keys.
import { certificateCause, connectCause } from "#kit/connect-cause.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

/** gRPC's numbers for how a call ended, as far as they are told apart. */
export const STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** "lost": another attempt may fare better; a write may have happened. */
export type Ending = "answered" | "lost" | "not-sent" | "late" | "given-up";

/** A StoreError that knows more for a driver's own use. */
export class GoogleError extends StoreError {
  /** gRPC's number; null where the call never had an answer of anybody. */
  readonly status: number | null;
  /** The service's own words, or the client library's. Never to be shown. */
  readonly details: string;
  readonly ending: Ending;

  constructor(code: StoreErrorCode, message: string, more: Pick<GoogleError, "status" | "details" | "ending">) {
    super(code, message);
    this.status = more.status;
    this.details = more.details;
    this.ending = more.ending;
  }
}

export interface Failed {
  readonly status: { readonly code: number; readonly details: string };
  /** Service and address: "spanner at spanner.googleapis.com:443". */
  readonly server: string;
  /** The call may have changed what is stored. */
  readonly isWrite: boolean;
}

interface Meaning {
  readonly code: StoreErrorCode;
  /** Behind "SERVER ". */
  readonly text: string;
}

/** Answers of the service after which nothing was written. */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  [STATUS.INVALID_ARGUMENT]: { code: "failed", text: "refused the request (INVALID_ARGUMENT)" },
  [STATUS.NOT_FOUND]: { code: "unavailable", text: "does not know what was asked for (NOT_FOUND)" },
  [STATUS.ALREADY_EXISTS]: { code: "failed", text: "refused the request (ALREADY_EXISTS)" },
  [STATUS.PERMISSION_DENIED]: { code: "unavailable", text: "does not let this account do that" },
  [STATUS.RESOURCE_EXHAUSTED]: { code: "unavailable", text: "has no capacity left for this (RESOURCE_EXHAUSTED)" },
  [STATUS.FAILED_PRECONDITION]: { code: "failed", text: "refused the request (FAILED_PRECONDITION)" },
  [STATUS.ABORTED]: { code: "unavailable", text: "ended the transaction for others that use the same values" },
  [STATUS.OUT_OF_RANGE]: { code: "failed", text: "refused the request (OUT_OF_RANGE)" },
  [STATUS.UNIMPLEMENTED]: { code: "failed", text: "does not know this call (UNIMPLEMENTED)" },
  [STATUS.UNAUTHENTICATED]: { code: "unavailable", text: "does not accept the credentials" },
};

export const MAY_HAVE = "; the write may have happened";

/** How @grpc/grpc-js begins when there was no connection at all: the request has not left this machine. */
const NOT_SENT = /^(No connection established|Channel closed before call started)/;

/** How @grpc/grpc-js names a stream that was reset, under numbers that are a service's answer otherwise. */
const RESET = /^(Bandwidth exhausted or memory limit exceeded|Protocol not secure enough)$/;

/** The error for a call that gRPC ended with a status other than OK. */
export function statusError({ status, server, isWrite }: Failed): GoogleError {
  const { code, details } = status;
  const known = RESET.test(details) ? undefined : MEANINGS[code];
  const answered = { status: code, details, ending: "answered" } as const;
  if (known !== undefined) return new GoogleError(known.code, `${server} ${known.text}${hintOf(status)}`, answered);
  if (code === STATUS.UNAVAILABLE && NOT_SENT.test(details)) {
    const text = `cannot connect to ${server}${becauseOf(details)}`;
    return new GoogleError("unavailable", text, { ...answered, ending: "not-sent" });
  }
  const written = isWrite ? MAY_HAVE : "";
  if (code === STATUS.DEADLINE_EXCEEDED) return abandonedError("late", server, isWrite);
  const text =
    code === STATUS.UNAVAILABLE || code === STATUS.CANCELLED
      ? `lost the connection to ${server}${written}`
      : `${server} failed in the middle of the call (status ${code})${written}`;
  return new GoogleError(isWrite ? "unknown-outcome" : "unavailable", text, { ...answered, ending: "lost" });
}

const PERMISSION = /permission '?([a-z]+\.[a-zA-Z.]+)/;

function hintOf({ code, details }: Failed["status"]): string {
  if (code === STATUS.UNAUTHENTICATED) return "; see the fields of the service account, or the environment's";
  if (code !== STATUS.PERMISSION_DENIED) return "";
  const permission = PERMISSION.exec(details)?.[1];
  return permission === undefined ? "; give it the rights on the page of this store" : `; it lacks ${permission}`;
}

const TLS_TROUBLE = /certificate|CERT|SSL|TLS|EPROTO|ERR_TLS/i;

function becauseOf(details: string): string {
  const cause = connectCause(details);
  return `${cause === null ? "" : `: ${cause}`}${hintAbout(details)}`;
}

function hintAbout(details: string): string {
  if (certificateCause(details) !== null) return "; check endpoint, and the server's certificate";
  return TLS_TROUBLE.test(details) ? "; check endpoint: it is without https:// for an emulator only" : "";
}

const LOCAL = { status: null, details: "" } as const;

export function closedError(): GoogleError {
  return new GoogleError("closed", "the store was closed", { ...LOCAL, ending: "given-up" });
}

/** Before anything was sent. */
export function leftError(): GoogleError {
  return new GoogleError("timeout", "the caller left before the work began", { ...LOCAL, ending: "given-up" });
}

/** A call that ended without an answer: its caller left, its time was up, the store was closed. */
export function abandonedError(why: "left" | "late" | "closed", server: string, isWrite: boolean): GoogleError {
  const written = isWrite ? MAY_HAVE : "";
  if (why === "closed" && !isWrite) return closedError();
  if (why === "closed")
    return new GoogleError("unknown-outcome", `the store was closed${written}`, { ...LOCAL, ending: "given-up" });
  if (why === "left")
    return new GoogleError("timeout", `the caller left before ${server} answered${written}`, {
      ...LOCAL,
      ending: "given-up",
    });
  return new GoogleError("timeout", `no answer from ${server} in time${written}`, { ...LOCAL, ending: "late" });
}

/** Nobody could sign in. `why` holds no secret. */
export function signInError(why: string): GoogleError {
  return new GoogleError("unavailable", `cannot sign in at Google: ${why}`, { ...LOCAL, ending: "not-sent" });
}
