// What memcached or the connection to it said, as a StoreError. Of the server's own words only those that are known here
// are looked at, and none is passed on.
import { StoreError, type StoreErrorCode } from "../store.ts";

/** How a connection came to its end. */
export type Ending =
  /** The store closes it. */
  | "closed"
  /** No answer in time. */
  | "silent"
  /** The server or the network broke it. */
  | "broken"
  /** What came back is not memcached's protocol. */
  | "garbled";

/** A StoreError that knows more for the driver's own use. */
export class MemcachedError extends StoreError {
  /** Nothing was written, and another attempt over a new connection may fare better. */
  readonly repeatable: boolean;

  constructor(code: StoreErrorCode, message: string, repeatable = false) {
    super(code, message);
    this.repeatable = repeatable;
  }
}

const MAY_HAVE = "; the write may have happened";

/** A request that was sent and will not be answered any more. */
export function lossError(ending: Ending, server: string, isWrite: boolean): MemcachedError {
  const written = isWrite ? MAY_HAVE : "";
  const doubtful: StoreErrorCode = isWrite ? "unknown-outcome" : "unavailable";
  switch (ending) {
    case "closed":
      return isWrite ? new MemcachedError("unknown-outcome", `the store was closed${written}`) : closedError();
    case "silent":
      return new MemcachedError("timeout", `no answer from memcached at ${server} within timeout${written}`);
    case "broken":
      return new MemcachedError(doubtful, `lost the connection to memcached at ${server}${written}`, !isWrite);
    case "garbled":
      return new MemcachedError(doubtful, `${server} does not speak memcached's protocol${written}`);
  }
}

interface Meaning {
  readonly part: string;
  readonly code: StoreErrorCode;
  readonly text: string;
}

/** The lines that begin with ERROR, CLIENT_ERROR and SERVER_ERROR. After each of these nothing was written. */
const MEANINGS: readonly Meaning[] = [
  { part: "object too large", code: "refused", text: "takes no value of this size; see its option -I" },
  { part: "out of memory", code: "unavailable", text: "is out of memory and evicts nothing (option -M)" },
  {
    part: "unauthenticated",
    code: "unavailable",
    text: "wants a user and a password, which Dapr's driver has not either",
  },
];

/** A line of the server's that says that it did not do what it was asked to. */
export function replyError(line: string, server: string): MemcachedError {
  const known = MEANINGS.find(({ part }) => line.includes(part));
  const { code, text } = known ?? { code: "failed" as const, text: "refused the command" };
  return new MemcachedError(code, `memcached at ${server} ${text}`);
}

/** No connection could be made. The words of the system hold no secret. */
export function connectError(server: string, cause: unknown): MemcachedError {
  const because = cause instanceof Error && cause.message !== "" ? `: ${cause.message}` : "";
  return new MemcachedError("unavailable", `cannot connect to memcached at ${server}${because}`);
}

export function closedError(): MemcachedError {
  return new MemcachedError("closed", "the store was closed");
}

/** The caller gave up; what was sent may still be done. */
export function leftError(isWrite: boolean): MemcachedError {
  return new MemcachedError("timeout", `the caller left before memcached answered${isWrite ? MAY_HAVE : ""}`);
}
