// What etcd or the connection to it said, as a StoreError with what to do about it. Of etcd's own words only those that
// are known here are looked at, and none is passed on.
import { connectCause, tlsWords } from "#kit/connect-cause.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

/** What another attempt would need to fare better. Nothing was written. */
export type Again =
  /** Another server, or the same one over a new connection. */
  | "elsewhere"
  /** A new token. */
  | "sign-in";

/** A StoreError that knows more for the driver's own use. */
export class EtcdError extends StoreError {
  readonly again: Again | null;

  constructor(code: StoreErrorCode, message: string, again: Again | null = null) {
    super(code, message);
    this.again = again;
  }
}

/** What gRPC ended a call with. */
export interface Status {
  readonly code: number;
  readonly details: string;
}

export interface Failed {
  readonly status: Status;
  /** "127.0.0.1:2379". */
  readonly server: string;
  /** The call may have changed what is stored. */
  readonly isWrite: boolean;
}

interface Meaning {
  readonly part: string;
  readonly code: StoreErrorCode;
  readonly text: string;
  readonly again: Again | null;
}

const CHECK_SIGN_IN = "check username and password";

function meaning(part: string, code: StoreErrorCode, text: string, again: Again | null = null): Meaning {
  return { part, code, text, again };
}

/**
 * etcd's answers that are known, by a part of their text: they have no numbers but gRPC's, which several share
 * (api/v3rpc/rpctypes/error.go in etcd). After each of these nothing was written, unless its code says otherwise.
 */
const MEANINGS: readonly Meaning[] = [
  meaning("request is too large", "refused", "takes no request of this size; see --max-request-bytes there"),
  meaning(
    "received message larger than max",
    "refused",
    "takes no request of this size; see --max-request-bytes there",
  ),
  meaning(
    "too many operations in txn request",
    "refused",
    "takes fewer operations in a transaction than maxTxnOps says; set it to --max-txn-ops there",
  ),
  meaning("database space exceeded", "unavailable", "has no space left; compact it, raise its quota, disarm the alarm"),
  meaning(
    "permission denied",
    "unavailable",
    "does not let this user use the keys; see the rights in docs/stores/etcd.md",
  ),
  meaning("invalid auth token", "unavailable", "no longer knows the token of this user", "sign-in"),
  meaning("revision of auth store is old", "unavailable", "has changed its users and roles", "sign-in"),
  meaning("invalid user ID or password", "unavailable", `refused the user or the password; ${CHECK_SIGN_IN}`),
  meaning("user name is empty", "unavailable", `wants a user; ${CHECK_SIGN_IN}`),
  meaning("user name not found", "unavailable", `does not know the user; ${CHECK_SIGN_IN}`),
  meaning(
    "authentication is not enabled",
    "unavailable",
    "has no sign-in: leave out username and password, or switch it on there (etcdctl auth enable)",
  ),
  meaning("no leader", "unavailable", "has no leader: most of the cluster's members are away", "elsewhere"),
  meaning("not capable", "unavailable", "is starting up", "elsewhere"),
  meaning("rpc not supported for learner", "unavailable", "is a learner, which serves nobody", "elsewhere"),
  meaning("too many requests", "unavailable", "has more requests than it can serve"),
  meaning("corrupt cluster", "unavailable", "takes no writes: its members hold different data, see its alarms"),
  meaning("requested lease not found", "unavailable", "ended the value's lease before the value was there; try again"),
];

/** gRPC's numbers for how a call ended, as far as they are told apart here. */
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

/** How @grpc/grpc-js begins when there is no connection at all: the request has not left this machine. */
const NOT_SENT = "No connection established";
/** How every answer of etcd itself begins, and no word of the client library or of a proxy. */
const SPOKEN = "etcdserver: ";

const MAY_HAVE = "; the write may have happened";

/** The error for a call that gRPC ended with a status other than OK. */
export function statusError({ status, server, isWrite }: Failed): EtcdError {
  const { code, details } = status;
  const known = MEANINGS.find(({ part }) => details.includes(part));
  if (known !== undefined) return new EtcdError(known.code, `etcd at ${server} ${known.text}`, known.again);
  const written = isWrite ? MAY_HAVE : "";
  if (code === DEADLINE_EXCEEDED || details.startsWith(`${SPOKEN}request timed out`))
    return new EtcdError("timeout", `no answer from etcd at ${server} in time${written}`, isWrite ? null : "elsewhere");
  if (code === UNAVAILABLE && details.startsWith(NOT_SENT)) return connectError(server, details);
  const doubtful: StoreErrorCode = isWrite ? "unknown-outcome" : "unavailable";
  if (code === UNAVAILABLE || code === CANCELLED)
    return new EtcdError(doubtful, `lost the connection to etcd at ${server}${written}`, isWrite ? null : "elsewhere");
  if (details.startsWith(SPOKEN)) return new EtcdError("failed", `etcd at ${server} refused the call (status ${code})`);
  return new EtcdError(doubtful, `no answer of etcd from ${server} (status ${code})${written}`);
}

const TLS_TROUBLE = /certificate|CERT|SSL|TLS|EPROTO|ERR_TLS/i;

function connectError(server: string, details: string): EtcdError {
  const cause = connectCause(details);
  const hint = TLS_TROUBLE.test(details) ? "; check tlsEnable, ca, cert and key, and the server's certificate" : "";
  const text = `cannot connect to etcd at ${server}${cause === null ? "" : `: ${cause}`}${hint}`;
  return new EtcdError("unavailable", text, "elsewhere");
}

/** OpenSSL does not take what the settings hold. Its reason names no part of them. */
export function unusableError(server: string, cause: unknown): EtcdError {
  const because = cause instanceof Error ? `: ${tlsWords(cause.message)}` : "";
  return new EtcdError("unavailable", `cannot connect to etcd at ${server}${because}; check ca, cert and key`);
}

export function closedError(): EtcdError {
  return new EtcdError("closed", "the store was closed");
}

/** A call that was given up: by a caller who left, or by the store that was closed. */
export function abandonedError(ending: "left" | "closed", server: string, isWrite: boolean): EtcdError {
  if (ending === "closed")
    return isWrite ? new EtcdError("unknown-outcome", `the store was closed${MAY_HAVE}`) : closedError();
  return new EtcdError("timeout", `the caller left before etcd at ${server} answered${isWrite ? MAY_HAVE : ""}`);
}

/** Before anything was sent. */
export function leftError(): EtcdError {
  return new EtcdError("timeout", "the caller left before the work began");
}
