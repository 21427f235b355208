// What Spanner's own words add to how a call ended. They are known from its service and are looked at in this file only;
// none is passed on.
import { GoogleError, STATUS } from "../google/failures.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

interface Meaning {
  readonly status: number;
  readonly words: RegExp;
  readonly code: StoreErrorCode;
  /** Behind "SERVER ". */
  readonly text: (names: Names) => string;
}

interface Names {
  readonly database: string;
  readonly table: string;
}

const SESSION = /session not found/i;
const TABLE = /table not found/i;

/** After each of these nothing was written. */
const MEANINGS: readonly Meaning[] = [
  {
    status: STATUS.NOT_FOUND,
    words: TABLE,
    code: "unavailable",
    text: ({ table }) => `has no table ${table} in this database: it was there when the store was opened`,
  },
  {
    status: STATUS.NOT_FOUND,
    words: /column not found/i,
    code: "failed",
    text: ({ table }) => `lacks a column in the table ${table}; see Layout in docs/stores/gcp.spanner.md`,
  },
  {
    status: STATUS.NOT_FOUND,
    words: /(database|instance) not found/i,
    code: "unavailable",
    text: ({ database }) => `has no ${database}: make it, or check project_id, instance_id and database_id`,
  },
  {
    status: STATUS.INVALID_ARGUMENT,
    words: /too many mutations|exceeds the maximum|is too large|size limit/i,
    code: "refused",
    text: () => "takes no transaction of this size; send it in parts",
  },
];

/** The same error, or one that says more. Its status and words stay. */
export function explained(error: unknown, server: string, names: Names): unknown {
  if (!(error instanceof GoogleError)) return error;
  const { status, details, ending } = error;
  const known = MEANINGS.find((each) => each.status === status && each.words.test(details));
  if (known === undefined) return error;
  return new GoogleError(known.code, `${server} ${known.text(names)}`, { status, details, ending });
}

/** Sessions end by themselves, and with an emulator. Nothing was done in it. */
export function isSessionGone(error: unknown): boolean {
  return error instanceof GoogleError && error.status === STATUS.NOT_FOUND && SESSION.test(error.details);
}

export function isTableMissing(error: unknown): boolean {
  return error instanceof GoogleError && error.status === STATUS.NOT_FOUND && TABLE.test(error.details);
}

/** The transaction was ended for another one's sake, and can be tried again. Nothing was written. */
export function isAborted(error: unknown): boolean {
  return error instanceof GoogleError && error.status === STATUS.ABORTED;
}

/** The connection broke, or the server failed in the middle: what the call did is not known. */
export function isLost(error: unknown): boolean {
  return error instanceof GoogleError && error.ending === "lost";
}

/** There was no connection at all. */
export function isNotSent(error: unknown): boolean {
  return error instanceof GoogleError && error.ending === "not-sent";
}

/** Something may have been written. */
export function isInDoubt(error: unknown): boolean {
  return error instanceof StoreError && (error.code === "unknown-outcome" || error.code === "timeout");
}

export function conflict(where: string, why: string): StoreError {
  return new StoreError("etag-mismatch", where + why);
}
