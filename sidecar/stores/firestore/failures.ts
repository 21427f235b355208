// What Datastore's own words add to how a call ended. They are known from its service and from datastore-emulator, are looked
// at in this file only, and none is passed on.
import { GoogleError, STATUS } from "../google/failures.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

interface Meaning {
  readonly status: number;
  readonly words: RegExp;
  readonly code: StoreErrorCode;
  /** Behind "SERVER ". */
  readonly text: (project: string) => string;
}

/** After each of these nothing was written. */
const MEANINGS: readonly Meaning[] = [
  {
    status: STATUS.NOT_FOUND,
    words: /project .*does not exist|database .*does not exist/i,
    code: "unavailable",
    text: (project) => `has no database in the project ${project}: make one in Datastore mode, or check project_id`,
  },
  {
    status: STATUS.FAILED_PRECONDITION,
    words: /native mode/i,
    code: "unavailable",
    text: (project) =>
      `has the database of the project ${project} in Native mode; state.gcp.firestore needs Datastore mode`,
  },
  {
    status: STATUS.INVALID_ARGUMENT,
    words: /too (big|large|many)|exceeds the maximum|size limit|longer than/i,
    code: "refused",
    text: () => "takes no request of this size; send it in parts",
  },
];

/** The same error, or one that says more. Its status and words stay. */
export function explained(error: unknown, server: string, project: string): unknown {
  if (!(error instanceof GoogleError)) return error;
  const { status, details, ending } = error;
  const known = MEANINGS.find((each) => each.status === status && each.words.test(details));
  if (known === undefined) return error;
  return new GoogleError(known.code, `${server} ${known.text(project)}`, { status, details, ending });
}

const TRANSACTION_GONE = /transaction.*(expired|no longer valid|closed)|invalid transaction/i;

/** The transaction was ended for another one's sake. It can be tried again from its beginning. Nothing was written. */
export function isAborted(error: unknown): boolean {
  return error instanceof GoogleError && error.status === STATUS.ABORTED;
}

/** The same of a transaction that is unknown: too old, or from before an emulator's restart. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof GoogleError && error.status === STATUS.INVALID_ARGUMENT && TRANSACTION_GONE.test(error.details)
  );
}

/** An insert found an entity. Nothing was written. */
export function isThere(error: unknown): boolean {
  return error instanceof GoogleError && error.status === STATUS.ALREADY_EXISTS;
}

/** The connection broke, or the server failed in the middle, and nothing can have been written. */
export function isReadLost(error: unknown): boolean {
  return error instanceof GoogleError && error.ending === "lost" && error.code === "unavailable";
}

export function conflict(where: string, why: string): StoreError {
  return new StoreError("etag-mismatch", where + why);
}
