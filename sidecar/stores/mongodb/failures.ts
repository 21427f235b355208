// What the server, the connection or the client library said, as a StoreError with what to do about it. MongoDB quotes
// keys and values in its messages, so none of its words are passed on: the number decides
// (https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml).
import {
  MongoAPIError,
  MongoError,
  MongoNetworkError,
  MongoNetworkTimeoutError,
  MongoServerError,
  MongoWriteConcernError,
} from "mongodb";
import { StoreError, type StoreErrorCode } from "../store.ts";
import { connectWords, wasNotSent } from "./connecting.ts";

/** Why another attempt of the whole call may fare better. Nothing was written. */
export type Again =
  /** Two writers met. */
  | "conflict"
  /** The server has too much to do, and may have said for how long. */
  | "throttled"
  /** The connection was of no use; another one may be. */
  | "connection";

/** A StoreError that knows more for the driver's own use. */
export class MongodbError extends StoreError {
  readonly again: Again | null;
  /** What the server answered, as 11000; null when it did not answer. */
  readonly number: number | null;
  /** How long to wait before another attempt, in milliseconds; null where the server has not said. */
  readonly afterMs: number | null;

  constructor(
    code: StoreErrorCode,
    message: string,
    more: { again?: Again | null; number?: number; afterMs?: number | null } = {},
  ) {
    super(code, message);
    this.again = more.again ?? null;
    this.number = more.number ?? null;
    this.afterMs = more.afterMs ?? null;
  }
}

export interface Failed {
  readonly error: unknown;
  /** "127.0.0.1:27017". */
  readonly server: string;
  readonly isWrite: boolean;
  /** The client may have made a second attempt, so that the error of the last one tells nothing about the first. */
  readonly repeated: boolean;
}

interface Meaning {
  readonly code: StoreErrorCode;
  readonly text: string;
  readonly again: Again | null;
  /** The answer came from the middle of the work, or from a server that is leaving. */
  readonly doubtful: boolean;
}

function unavailable(text: string, again: Again | null = null): Meaning {
  return { code: "unavailable", text, again, doubtful: false };
}

function refused(text: string): Meaning {
  return { code: "refused", text, again: null, doubtful: false };
}

function leaving(text: string): Meaning {
  return { code: "unavailable", text, again: null, doubtful: true };
}

export const DUPLICATE_KEY = 11000;

const SIGN_IN = "refused the user or the password; check username, password and authSource";
const RIGHTS = "does not give this user the rights; see docs/stores/mongodb.md";
const NO_PRIMARY = "takes no writes: it is not the primary; name all servers, or the replica set";
const SHAPE = "cannot hold a member of this value under its name";
const TOO_LARGE = "takes no document of more than 16 MiB, key and value together";
const NOT_REPLICATED = "has written it on too few servers in time";
const CUT_OFF = "has lost, or did not reach, another server that it asked";
const NO_TRANSACTIONS = "has no transactions: they need a replica set or a sharded cluster";

const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [18, unavailable(SIGN_IN)],
  [11, unavailable(SIGN_IN)],
  [8000, unavailable(SIGN_IN)],
  [13, unavailable(RIGHTS)],
  [10107, unavailable(NO_PRIMARY)],
  [13435, unavailable(NO_PRIMARY)],
  [13436, unavailable("is starting up or catching up with the others")],
  [10058, leaving(NO_PRIMARY)],
  [189, leaving("has stopped being the primary")],
  [11602, leaving("has changed its part in the replica set")],
  [11600, leaving("is shutting down")],
  [91, leaving("is shutting down")],
  [6, leaving(CUT_OFF)],
  [7, leaving(CUT_OFF)],
  [89, leaving(CUT_OFF)],
  [202, leaving(CUT_OFF)],
  [384, leaving(CUT_OFF)],
  [9001, leaving(CUT_OFF)],
  [11601, leaving("was told to stop the request")],
  [133, unavailable("has no server that fits the read preference")],
  [74, unavailable("has too few servers")],
  [14031, unavailable("has no space left on its disk; free some")],
  [146, unavailable("is out of memory")],
  [462, unavailable("is overloaded", "throttled")],
  [16500, unavailable("is throttling: more request units are asked for than were bought", "throttled")],
  [112, unavailable("undid the change because another one met it; try again", "conflict")],
  [244, unavailable("has given up the transaction; try again", "conflict")],
  [251, unavailable("has given up the transaction; try again", "conflict")],
  [246, unavailable("no longer has the state that the transaction began with; try again", "conflict")],
  [239, unavailable("no longer has the state that the transaction began with; try again", "conflict")],
  [24, unavailable("waited too long for a lock; try again", "conflict")],
  [20, unavailable(NO_TRANSACTIONS)],
  [263, unavailable(NO_TRANSACTIONS)],
  [50, { code: "timeout", text: "stopped the request, whose time was up", again: null, doubtful: true }],
  [262, { code: "timeout", text: "stopped the request, whose time was up", again: null, doubtful: true }],
  [64, { code: "unknown-outcome", text: NOT_REPLICATED, again: null, doubtful: true }],
  [100, { code: "unknown-outcome", text: "has fewer servers than writeConcern names", again: null, doubtful: true }],
  [123, unavailable("is no replica set, and the read or write concern needs one")],
  [148, unavailable("cannot serve the read concern; its storage engine lacks it")],
  [52, refused(SHAPE)],
  [56, refused(SHAPE)],
  [57, refused(SHAPE)],
  [15, refused("cannot hold a value nested so deep")],
  [22, refused("takes no document of this kind")],
  [10334, refused(TOO_LARGE)],
  [17419, refused(TOO_LARGE)],
  [17420, refused(TOO_LARGE)],
  [17280, refused("cannot hold a key of this length")],
  [121, refused("has rules for the collection's documents that this one breaks")],
  [166, refused("has a view under the name of the collection; name a collection")],
]);

const MAY_HAVE = "; the write may have happened";

/** The error of one call. What is not an error of the client library or of its making passes as it is. */
export function failureOf(failed: Failed): Error {
  const { error } = failed;
  if (error instanceof StoreError) return error;
  if (error instanceof MongoWriteConcernError) return serverFailure(writeConcernNumber(error), failed);
  if (error instanceof MongoServerError && error.code !== undefined) return serverFailure(Number(error.code), failed);
  if (error instanceof MongoError) return clientFailure(error, failed);
  // What a socket says of itself passes the library by.
  if (error instanceof Error && "code" in error) return clientFailure(new MongoNetworkError(error.message), failed);
  // The library's encoder has errors of its own; nothing has been sent then.
  if (error instanceof Error && error.name.startsWith("BSON"))
    return new MongodbError("refused", "the value or the key has no form in BSON");
  return error instanceof Error ? error : new Error(String(error));
}

function serverFailure(number: number, { error, server, isWrite, repeated }: Failed): MongodbError {
  const meaning = MEANINGS.get(number);
  const about = `(error ${number})`;
  if (number === DUPLICATE_KEY)
    return isOwnKey(error)
      ? new MongodbError("etag-mismatch", "a value is there already", { number, again: "conflict" })
      : new MongodbError("refused", `mongodb at ${server} has a unique index that this value breaks ${about}`, {
          number,
        });
  // Such an answer made the client ask again: of the first attempt only the server knows, and it may say so.
  const askedAgain = repeated && hasLabel(error, "RetryableWriteError") && !hasLabel(error, "NoWritesPerformed");
  if (meaning === undefined) return unknownFailure({ number, server, unsure: isWrite && askedAgain });
  const { text, again, doubtful } = meaning;
  const unsure = doubtful || askedAgain;
  const written = isWrite && unsure ? MAY_HAVE : "";
  const code = codeOf(meaning, isWrite, unsure);
  return new MongodbError(code, `mongodb at ${server} ${text} ${about}${written}`, {
    number,
    again: unsure ? null : again,
    afterMs: again === "throttled" ? retryAfterMs(error) : null,
  });
}

function unknownFailure(said: { number: number; server: string; unsure: boolean }): MongodbError {
  const { number, server, unsure } = said;
  return unsure
    ? new MongodbError("unknown-outcome", `mongodb at ${server} failed (error ${number})${MAY_HAVE}`, { number })
    : new MongodbError("failed", `mongodb at ${server} refused the call (error ${number})`, { number });
}

function codeOf({ code }: Meaning, isWrite: boolean, unsure: boolean): StoreErrorCode {
  if (!isWrite) return code === "unknown-outcome" ? "unavailable" : code;
  return unsure && code === "unavailable" ? "unknown-outcome" : code;
}

function clientFailure(error: MongoError, { server, isWrite, repeated }: Failed): MongodbError {
  const written = isWrite ? MAY_HAVE : "";
  if (wasNotSent(error) && !(isWrite && repeated)) return connectError(server, error);
  if (CLOSED.has(error.name)) return closedError();
  if (error instanceof MongoNetworkTimeoutError)
    return new MongodbError("timeout", `no answer from mongodb at ${server} in time${written}`);
  if (error instanceof MongoAPIError && !repeated)
    return new MongodbError("failed", `the client of mongodb at ${server} refused the call (${error.name})`);
  return new MongodbError(
    isWrite ? "unknown-outcome" : "unavailable",
    `lost the connection to mongodb at ${server}${written}`,
    { again: isWrite ? null : "connection" },
  );
}

const CLOSED: ReadonlySet<string> = new Set([
  "MongoClientClosedError",
  "MongoTopologyClosedError",
  "MongoServerClosedError",
  "MongoPoolClosedError",
  "MongoNotConnectedError",
]);

function connectError(server: string, error: MongoError): MongodbError {
  if (error.name === "MongoWaitQueueTimeoutError")
    return new MongodbError(
      "unavailable",
      `no connection to mongodb at ${server} became free in time: it hangs, or maxPoolSize in params is too small`,
    );
  return new MongodbError("unavailable", `cannot connect to mongodb at ${server}${connectWords(error)}`, {
    // All waiting requests are told when one of them has found that the connections are broken.
    again: error.name === "MongoPoolClearedError" ? "connection" : null,
  });
}

function writeConcernNumber(error: MongoWriteConcernError): number {
  const { code } = error.result.writeConcernError ?? {};
  return typeof code === "number" && MEANINGS.get(code)?.doubtful === true ? code : WRITE_CONCERN_FAILED;
}

const WRITE_CONCERN_FAILED = 64;

/** Whether the key that is there twice is the document's own, and not one of another unique index. */
function isOwnKey(error: unknown): boolean {
  if (!(error instanceof MongoServerError)) return true;
  const { keyPattern } = error.errorResponse;
  return typeof keyPattern !== "object" || keyPattern === null || "_id" in keyPattern;
}

const RETRY_AFTER = /RetryAfterMs=(\d{1,6})/;

/** What Cosmos DB writes into its message. */
function retryAfterMs(error: unknown): number | null {
  const said = error instanceof Error ? RETRY_AFTER.exec(error.message)?.[1] : undefined;
  return said === undefined ? null : Number(said);
}

export function hasLabel(error: unknown, label: string): boolean {
  return error instanceof MongoError && error.hasErrorLabel(label);
}

export function closedError(): MongodbError {
  return new MongodbError("closed", "the store was closed");
}

/** How the waiting for a call came to its end before its answer. */
export type Ending = "closed" | "left" | "silent";

export function abandonedError(ending: Ending, server: string, isWrite: boolean): MongodbError {
  const written = isWrite ? MAY_HAVE : "";
  switch (ending) {
    case "closed":
      return isWrite ? new MongodbError("unknown-outcome", `the store was closed${written}`) : closedError();
    case "left":
      return new MongodbError("timeout", `the caller left before mongodb at ${server} answered${written}`);
    case "silent":
      return new MongodbError("timeout", `no answer from mongodb at ${server} within operationTimeout${written}`);
  }
}

/** Before anything was sent. */
export function leftError(): MongodbError {
  return new MongodbError("timeout", "the caller left before the work began");
}
