// What NATS or the connection to it said, as a StoreError. Of the servers' own words only numbers are looked at, and none
// of the words is passed on.
import { errors } from "@nats-io/transport-node";
import { tlsWords } from "#kit/connect-cause.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

/** A StoreError that knows more for the driver's own use. */
export class JetStreamError extends StoreError {
  /** Nothing was written, and another attempt over a new connection may fare better. */
  readonly repeatable: boolean;

  constructor(code: StoreErrorCode, message: string, repeatable = false) {
    super(code, message);
    this.repeatable = repeatable;
  }
}

const MAY_HAVE = "; the write may have happened";

export interface Failed {
  /** "nats-0:4222" */
  readonly server: string;
  readonly isWrite: boolean;
}

/** A request that was not answered, as the client library tells it. */
export function requestError(error: unknown, { server, isWrite }: Failed): JetStreamError {
  const cause = error instanceof errors.RequestError && error.cause !== undefined ? error.cause : error;
  const written = isWrite ? MAY_HAVE : "";
  if (cause instanceof errors.NoRespondersError)
    return new JetStreamError(
      "unavailable",
      `nobody at ${server} answers for the bucket: JetStream is off, the bucket is gone, or it has no leader`,
    );
  if (cause instanceof errors.TimeoutError)
    return new JetStreamError("timeout", `no answer from NATS at ${server} in time${written}`);
  if (cause instanceof errors.PermissionViolationError) return rightsError(cause.operation, { server, isWrite });
  if (cause instanceof errors.InvalidArgumentError)
    return new JetStreamError(
      "refused",
      `NATS at ${server} takes no message of this size any more; see its max_payload`,
    );
  if (cause instanceof errors.ClosedConnectionError)
    return new JetStreamError("unavailable", `the connection to NATS at ${server} was lost before`, true);
  const doubtful: StoreErrorCode = isWrite ? "unknown-outcome" : "unavailable";
  return new JetStreamError(doubtful, `lost the connection to NATS at ${server}${written}`, !isWrite);
}

/** Whoever may not read answers may still have written. */
function rightsError(operation: string, { server, isWrite }: Failed): JetStreamError {
  const see = "see the rights in docs/stores/jetstream.md";
  const who = `NATS at ${server} does not let this user`;
  if (operation === "publish") return new JetStreamError("unavailable", `${who} publish there; ${see}`);
  if (isWrite) return new JetStreamError("unknown-outcome", `${who} read answers${MAY_HAVE}; ${see}`);
  return new JetStreamError("unavailable", `${who} read answers; ${see}`);
}

/** No connection could be made. The words of the system and of the library hold no secret. */
export function connectError(server: string, cause: unknown): JetStreamError {
  const where = `NATS at ${server}`;
  if (cause instanceof errors.AuthorizationError || cause instanceof errors.UserAuthenticationExpiredError)
    return new JetStreamError(
      "unavailable",
      `${where} refused the user; check jwt and seedKey, or the user in natsURL`,
    );
  const because = cause instanceof Error && cause.message !== "" ? `: ${tlsWords(cause.message)}` : "";
  return new JetStreamError("unavailable", `cannot connect to ${where}${because}`);
}

interface Meaning {
  readonly code: StoreErrorCode;
  readonly text: string;
}

/** What JetStream says under these numbers (server/errors.json in nats-server). After each nothing was written. */
const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [10_002, { code: "unavailable", text: "has used up what this account may keep" }],
  [10_008, { code: "unavailable", text: "cannot serve the bucket right now" }],
  [10_009, { code: "unavailable", text: "has no server for the bucket right now" }],
  [10_023, { code: "unavailable", text: "has too few resources" }],
  [10_028, { code: "unavailable", text: "has used up its memory" }],
  [10_039, { code: "unavailable", text: "has JetStream off for this account" }],
  [10_047, { code: "unavailable", text: "has used up its disk" }],
  [10_054, { code: "refused", text: "takes no value of this size; see --max-value-size of the bucket" }],
  [10_059, { code: "unavailable", text: "has the bucket no longer" }],
  [10_076, { code: "unavailable", text: "has JetStream off" }],
  [10_077, { code: "unavailable", text: "has no room in the bucket: raise its size, or delete" }],
]);

/** An answer of JetStream's that it did not do what it was asked to. */
export function apiError(errCode: number, server: string): JetStreamError {
  const known = MEANINGS.get(errCode);
  const { code, text } = known ?? { code: "failed" as const, text: `refused the request (error ${errCode})` };
  return new JetStreamError(code, `NATS at ${server} ${text}`);
}

/** An answer that is none of JetStream's. */
export function strangeError({ server, isWrite }: Failed): JetStreamError {
  const code = isWrite ? "unknown-outcome" : "unavailable";
  return new JetStreamError(code, `what answers at ${server} is not JetStream${isWrite ? MAY_HAVE : ""}`);
}

export function closedError(): JetStreamError {
  return new JetStreamError("closed", "the store was closed");
}

/** Requests under way when the store closes. */
export function closingError(isWrite: boolean): JetStreamError {
  return isWrite ? new JetStreamError("unknown-outcome", `the store was closed${MAY_HAVE}`) : closedError();
}

/** The caller gave up; what was sent may still be done. */
export function leftError(isWrite: boolean): JetStreamError {
  return new JetStreamError("timeout", `the caller left before NATS answered${isWrite ? MAY_HAVE : ""}`);
}
