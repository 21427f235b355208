// What Cosmos DB or the connection to it said, as a StoreError with what to do about it. Of the server's own words none is
// passed on: they can hold what was sent.
import { tlsCause } from "#kit/connect-cause.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

/** A StoreError that knows for the driver's own use whether the same request can be sent again. */
export class CosmosError extends StoreError {
  /** Null: not worth it, or the request may have been applied. */
  readonly again: Again | null;

  constructor(code: StoreErrorCode, message: string, again: Again | null = null) {
    super(code, message);
    this.again = again;
  }
}

export interface Again {
  /** What has to change first: the load, what ails the server, the connection, the sign-in, the session of a read. */
  readonly reason: "load" | "trouble" | "connection" | "sign-in" | "session";
  /** How long the server wants it to wait, in milliseconds; null where it does not say. */
  readonly afterMs: number | null;
}

/** The part of an answer that tells what went wrong. */
export interface Refusal {
  readonly status: number;
  /** Of the header `x-ms-substatus`; 0 where there is none. */
  readonly substatus: number;
  /** Of the header `x-ms-retry-after-ms`; null where there is none. */
  readonly retryAfterMs: number | null;
  /** "account.documents.azure.com:443" */
  readonly server: string;
  /** The request may have changed what is stored. */
  readonly isWrite: boolean;
}

const MAY_HAVE = "; the write may have happened";

/** Substatuses of 403 and 404 that are told apart here, by the names that Microsoft's clients have for them. */
const WRITE_FORBIDDEN = 3;
const PARTITION_FULL = 1014;
const READ_SESSION_NOT_AVAILABLE = 1002;
const OWNER_NOT_FOUND = 1003;

/** The error for an answer that is no result of any operation. 404, 409 and 412 are results unless a substatus says more. */
export function refusalError(refusal: Refusal): CosmosError {
  const { status, server } = refusal;
  const cosmos = `Cosmos DB at ${server}`;
  const soon: Again = { reason: "load", afterMs: refusal.retryAfterMs };
  switch (status) {
    case 401: {
      const text = `${cosmos} refused the sign-in (status 401); check masterKey or the azure fields, and this machine's clock`;
      return new CosmosError("unavailable", text, { reason: "sign-in", afterMs: 0 });
    }
    case 403:
      return forbiddenError(refusal, cosmos);
    case 404:
      return missingError(refusal, cosmos);
    case 410:
      return new CosmosError("unavailable", `${cosmos} is moving a partition (status 410)`, soon);
    case 413:
      return new CosmosError("refused", `${cosmos} takes no document and no transaction of this size (status 413)`);
    case 429:
      return new CosmosError("unavailable", `${cosmos} has no throughput left for the request (status 429)`, soon);
    case 449:
      return new CosmosError("unavailable", `${cosmos} has another write of the same document (status 449)`, soon);
    default:
      return otherError(refusal, cosmos);
  }
}

function forbiddenError({ substatus, retryAfterMs }: Refusal, cosmos: string): CosmosError {
  if (substatus === WRITE_FORBIDDEN) {
    const text = `${cosmos} takes no writes in this region now (status 403, substatus 3)`;
    return new CosmosError("unavailable", text, { reason: "load", afterMs: retryAfterMs });
  }
  if (substatus === PARTITION_FULL)
    return new CosmosError("unavailable", `${cosmos} has no space left in this partition (status 403, substatus 1014)`);
  const text = `${cosmos} does not allow this (status 403, substatus ${substatus}); check the account's firewall, the role of the identity, whether the key is a read-only one, and this machine's clock`;
  return new CosmosError("unavailable", text);
}

function missingError({ substatus }: Refusal, cosmos: string): CosmosError {
  if (substatus === READ_SESSION_NOT_AVAILABLE) {
    const text = `${cosmos} has not caught up with this sidecar's own writes (status 404, substatus 1002)`;
    return new CosmosError("unavailable", text, { reason: "session", afterMs: null });
  }
  const what = substatus === OWNER_NOT_FOUND || substatus === 0 ? "no such database or container" : "no such resource";
  const text = `${cosmos} has ${what} (status 404, substatus ${substatus}); check database and collection`;
  return new CosmosError("unavailable", text);
}

/** From 500 on, and for 408, the server itself does not know whether a write was applied. */
function otherError({ status, substatus, retryAfterMs, isWrite }: Refusal, cosmos: string): CosmosError {
  const numbers = `(status ${status}, substatus ${substatus})`;
  if (status !== 408 && status < 500) return new CosmosError("failed", `${cosmos} refused the request ${numbers}`);
  const again: Again | null = isWrite ? null : { reason: "trouble", afterMs: retryAfterMs };
  const written = isWrite ? MAY_HAVE : "";
  if (status === 408) return new CosmosError("timeout", `${cosmos} took too long ${numbers}${written}`, again);
  return new CosmosError(isWrite ? "unknown-outcome" : "unavailable", `${cosmos} failed ${numbers}${written}`, again);
}

/** The connection could not be made: nothing was sent. */
export function connectError(server: string, error: Error): CosmosError {
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  const hint = /CERT|TLS|SSL|SIGNATURE|ISSUER/.test(code)
    ? "; this machine does not trust the server's certificate"
    : "";
  const cause = tlsCause(error.message) ?? code;
  return new CosmosError("unavailable", `cannot connect to Cosmos DB at ${server}: ${cause}${hint}`, {
    reason: "connection",
    afterMs: null,
  });
}

/** The connection broke when the request had been sent, or a part of it. */
export function lostError(server: string, isWrite: boolean): CosmosError {
  const text = `lost the connection to Cosmos DB at ${server}`;
  if (isWrite) return new CosmosError("unknown-outcome", `${text}${MAY_HAVE}`);
  return new CosmosError("unavailable", text, { reason: "connection", afterMs: 0 });
}

/** An answer came that this driver cannot read. */
export function strangeError(server: string, isWrite: boolean): CosmosError {
  const text = `Cosmos DB at ${server} answered what is no answer of it`;
  return isWrite ? new CosmosError("unknown-outcome", `${text}${MAY_HAVE}`) : new CosmosError("failed", text);
}

export function timeoutError(server: string, isWrite: boolean): CosmosError {
  return new CosmosError("timeout", `no answer from Cosmos DB at ${server} in time${isWrite ? MAY_HAVE : ""}`);
}

/** Entra ID did not answer in the time of a call: nothing was sent. */
export function noTokenError(server: string): CosmosError {
  const text = `Entra ID gave no token for Cosmos DB at ${server} in time; see the fields that begin with azure`;
  return new CosmosError("unavailable", text);
}

/** The caller left, or the store was closed, while a request was under way. */
export function abandonedError(ending: "left" | "closed", server: string, isWrite: boolean): CosmosError {
  const written = isWrite ? MAY_HAVE : "";
  if (ending === "left")
    return new CosmosError("timeout", `the caller left before Cosmos DB at ${server} answered${written}`);
  return isWrite ? new CosmosError("unknown-outcome", `the store was closed${MAY_HAVE}`) : closedError();
}

export function closedError(): CosmosError {
  return new CosmosError("closed", "the store was closed");
}

/** Before anything was sent. */
export function leftError(): CosmosError {
  return new CosmosError("timeout", "the caller left before the request was sent");
}

export function busyError(calls: number): CosmosError {
  return new CosmosError("unavailable", `${calls} requests are under way or wait already, the most that there may be`);
}
