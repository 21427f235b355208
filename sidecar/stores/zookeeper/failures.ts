// What ZooKeeper or the connection to it said, as a StoreError with what to do about it.
import { StoreError, type StoreErrorCode } from "../store.ts";
import { CODE } from "./messages.ts";

/** How a connection came to its end. */
export type Ending =
  /** The store closes it. */
  | "closed"
  /** No answer in time. */
  | "silent"
  /** The server or the network broke it. */
  | "broken"
  /** What came back is not ZooKeeper's protocol. */
  | "garbled"
  /** The server no longer knows the session. */
  | "expired";

/** A StoreError that knows more for the driver's own use. */
export class ZooKeeperError extends StoreError {
  /** Nothing was written, and another attempt over a new connection may fare better. */
  readonly repeatable: boolean;

  constructor(code: StoreErrorCode, message: string, repeatable = false) {
    super(code, message);
    this.repeatable = repeatable;
  }
}

const MAY_HAVE = "; the write may have happened";

/** A request that was sent and will not be answered any more. */
export function lossError(ending: Ending, server: string, isWrite: boolean): ZooKeeperError {
  const written = isWrite ? MAY_HAVE : "";
  const doubtful: StoreErrorCode = isWrite ? "unknown-outcome" : "unavailable";
  switch (ending) {
    case "closed":
      return isWrite ? new ZooKeeperError("unknown-outcome", `the store was closed${written}`) : closedError();
    case "silent":
      return new ZooKeeperError("timeout", `no answer from ZooKeeper at ${server} in time${written}`);
    case "broken":
    case "expired":
      return new ZooKeeperError(doubtful, `lost the connection to ZooKeeper at ${server}${written}`, !isWrite);
    case "garbled":
      return new ZooKeeperError(doubtful, `${server} does not speak ZooKeeper's protocol${written}`);
  }
}

/** The server ended the session, and refused what was asked for in it. */
export function sessionError(server: string): ZooKeeperError {
  return new ZooKeeperError("unavailable", `ZooKeeper at ${server} ended the session`, true);
}

interface Meaning {
  readonly code: StoreErrorCode;
  readonly text: string;
}

/** Answers that are known. After each of these nothing was written, unless its code says otherwise. */
const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [CODE.noAuth, { code: "unavailable", text: "does not let this client use the node: see its ACL" }],
  [CODE.quotaExceeded, { code: "unavailable", text: "has a quota on this path, which is used up" }],
  [CODE.throttled, { code: "unavailable", text: "has more requests than it can serve" }],
  [
    CODE.noChildrenForEphemerals,
    { code: "refused", text: "keeps nothing below a node of a session (an ephemeral one)" },
  ],
  [CODE.badArguments, { code: "refused", text: "takes no such path" }],
  [CODE.invalidAcl, { code: "unavailable", text: "refuses open rights for new nodes" }],
  [CODE.unimplemented, { code: "unavailable", text: "is too old: it has no transactions" }],
]);

/** Answers after which a write may have happened. */
const DOUBTFUL: ReadonlySet<number> = new Set([CODE.connectionLoss, CODE.operationTimeout, CODE.requestTimeout]);

/** The server failed inside; where it was about to answer, a write is done. */
const INTERNAL: ReadonlySet<number> = new Set([
  CODE.systemError,
  CODE.runtimeInconsistency,
  CODE.dataInconsistency,
  CODE.marshallingError,
]);

/** An answer that says that the server did not do what it was asked to. */
export function replyError(code: number, server: string, isWrite: boolean): ZooKeeperError {
  if (INTERNAL.has(code)) {
    const text = `ZooKeeper at ${server} failed inside (code ${code}): see its log`;
    return isWrite ? new ZooKeeperError("unknown-outcome", `${text}${MAY_HAVE}`) : new ZooKeeperError("failed", text);
  }
  if (DOUBTFUL.has(code))
    return new ZooKeeperError("timeout", `ZooKeeper at ${server} gave up waiting${isWrite ? MAY_HAVE : ""}`);
  const known = MEANINGS.get(code);
  const { code: ours, text } = known ?? { code: "failed" as const, text: `refused the request (code ${code})` };
  return new ZooKeeperError(ours, `ZooKeeper at ${server} ${text}`);
}

/** What an answer says, or an error for one that is shorter than the protocol has it. */
export function parsed<T>(read: () => T, server: string, isWrite: boolean): T {
  try {
    return read();
  } catch (error) {
    // The reader's words tell a programmer more than an operator.
    if (error instanceof RangeError) throw lossError("garbled", server, isWrite);
    throw error;
  }
}

/** No session could be had. The words of the system hold no secret. */
export function connectError(server: string, cause: unknown): ZooKeeperError {
  const because = cause instanceof Error && cause.message !== "" ? `: ${cause.message}` : "";
  return new ZooKeeperError("unavailable", `cannot connect to ZooKeeper at ${server}${because}`);
}

export function closedError(): ZooKeeperError {
  return new ZooKeeperError("closed", "the store was closed");
}

/** The caller gave up; what was sent may still be done. */
export function leftError(isWrite: boolean): ZooKeeperError {
  return new ZooKeeperError("timeout", `the caller left before ZooKeeper answered${isWrite ? MAY_HAVE : ""}`);
}
