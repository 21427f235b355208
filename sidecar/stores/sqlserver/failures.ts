// What the server or the connection said, as a StoreError with what to do about it. SQL Server quotes keys and values in its
// messages, so none of its own words are passed on: the error number decides
// (https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors).
import {
  isTlsFailure,
  type Meaning,
  ReplyError,
  refused,
  SqlError,
  UNKNOWN,
  unavailable,
  unreachableError,
} from "../sql/failure.ts";

const LAYOUT = "see the layout in docs/stores/sqlserver.md";
const RIGHTS = unavailable("does not give this user the rights; see docs/stores/sqlserver.md");
const SIGN_IN = unavailable("refused the user, the password or the token; check them, and that the user may connect");
const EXPIRED = unavailable("says that the password has expired; set a new one");
const NO_DATABASE = unavailable("has no such database, or does not let this user into it");
const FIREWALL = unavailable("lets nobody in from this address; add it to the firewall rules of the server");
const BUSY = unavailable("has no free session or worker; lower maxConns, or raise the limit there");
const STARTING = unavailable("cannot serve the database right now: it starts, moves or is short of resources");
const MOVING = unavailable("cannot serve the database right now: it moves to another machine", "connection");
const GOING_DOWN = unavailable("is shutting down or was told to end this connection", "connection");
const READ_ONLY = unavailable("takes no writes: the database is read-only; name the primary", "elsewhere");
const SECONDARY = unavailable("does not serve this database: it is a secondary; name the primary", "elsewhere");
const FULL = unavailable("has no space left for the database or its log; free some, reads still work");
const NO_MEMORY = unavailable("is out of memory");
const BROKEN_DISK = unavailable("cannot read or write its files; look into its error log");
const CONFLICT = unavailable("undid the change because another one met it; try again", "conflict");
const NO_TABLE = unavailable(
  "has no such table: it was dropped; open the Component again to make it (docs/hot-reload.md)",
);
const OTHER_TABLE: Meaning = { code: "corrupt", text: `has a table with other columns; ${LAYOUT}`, again: null };
const TAKEN = refused(
  'takes another row that is there for the same, by the table\'s collation or an index; see "Keys" in docs/stores/sqlserver.md',
);
const NOT_INDEXABLE = refused("cannot hold this value: an indexed property cannot be computed from it");
const TOO_LONG = refused("cannot hold a key or a value of this length");

const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [18452, SIGN_IN],
  [18456, SIGN_IN],
  [18470, unavailable("has disabled the user's account")],
  [18486, unavailable("has locked the user's account")],
  [18487, EXPIRED],
  [18488, EXPIRED],
  [18461, unavailable("is in single-user mode")],
  [4060, NO_DATABASE],
  [4063, NO_DATABASE],
  [911, NO_DATABASE],
  [916, RIGHTS],
  [229, RIGHTS],
  [230, RIGHTS],
  [262, RIGHTS],
  [297, RIGHTS],
  [300, RIGHTS],
  [1088, RIGHTS],
  [2760, RIGHTS],
  [40615, FIREWALL],
  [40914, FIREWALL],
  [47073, FIREWALL],
  [17809, BUSY],
  [10928, BUSY],
  [10929, BUSY],
  [10936, BUSY],
  [927, STARTING],
  [40197, MOVING],
  [40501, STARTING],
  [40613, STARTING],
  [42108, STARTING],
  [42109, STARTING],
  [49918, STARTING],
  [49919, STARTING],
  [49920, STARTING],
  [596, GOING_DOWN],
  [6002, GOING_DOWN],
  [6005, GOING_DOWN],
  [40549, GOING_DOWN],
  [40550, GOING_DOWN],
  [40551, GOING_DOWN],
  [40552, GOING_DOWN],
  [40553, GOING_DOWN],
  [3906, READ_ONLY],
  [3908, READ_ONLY],
  [976, SECONDARY],
  [978, SECONDARY],
  [979, SECONDARY],
  [983, SECONDARY],
  [1105, FULL],
  [9002, FULL],
  [40544, FULL],
  [701, NO_MEMORY],
  [802, NO_MEMORY],
  [8645, NO_MEMORY],
  [8651, NO_MEMORY],
  [823, BROKEN_DISK],
  [824, BROKEN_DISK],
  [1205, unavailable("undid the change to end a deadlock; try again", "conflict")],
  [3960, CONFLICT],
  [3961, CONFLICT],
  [1222, { code: "timeout", text: "kept a row locked for longer than we may wait; nothing was written", again: null }],
  [208, NO_TABLE],
  [207, OTHER_TABLE],
  [515, OTHER_TABLE],
  [2601, TAKEN],
  [2627, TAKEN],
  [1946, TOO_LONG],
  [2628, TOO_LONG],
  [8152, TOO_LONG],
  [13609, NOT_INDEXABLE],
  [241, NOT_INDEXABLE],
  [242, NOT_INDEXABLE],
  [244, NOT_INDEXABLE],
  [245, NOT_INDEXABLE],
  [248, NOT_INDEXABLE],
  [8114, NOT_INDEXABLE],
  [8115, NOT_INDEXABLE],
  [8169, NOT_INDEXABLE],
]);

/** An error that the server answered. `server`: "sqlserver at 127.0.0.1:1433". */
export function replyError(number: number, server: string): ReplyError {
  const meaning = MEANINGS.get(number) ?? UNKNOWN;
  return new ReplyError(meaning, `${server} ${meaning.text} (error ${number})`, number);
}

const MADE_ELSEWHERE: ReadonlySet<unknown> = new Set([1801, 1913, 2705, 2714, 2759]);

/** True for what another session may have made in the same moment: a database, a schema, a table, a column, an index. */
export function isMadeElsewhere(error: unknown): boolean {
  return error instanceof ReplyError && MADE_ELSEWHERE.has(error.reply);
}

/** From this severity on the server ends the connection with the error. */
const FATAL_SEVERITY = 20;

/** True for an answer after which the connection is gone, so that nobody saw whether a change was made. */
export function endsSession(number: number, severity: number): boolean {
  const meaning = MEANINGS.get(number);
  return severity >= FATAL_SEVERITY || meaning === GOING_DOWN || meaning === MOVING;
}

/** An error that ended the connection. `lasting`: the statement takes effect by itself. */
export function fatalError(number: number, server: string, lasting: boolean): ReplyError {
  const text = `${server} ${MEANINGS.get(number)?.text ?? "ended the connection"} (error ${number})`;
  return lasting
    ? new ReplyError({ code: "unknown-outcome", again: null }, `${text}; the write may have happened`, number)
    : new ReplyError({ code: "unavailable", again: "connection" }, text, number);
}

export const DATABASE_MISSING: ReadonlySet<unknown> = new Set([911, 4060]);

/** No connection could be made. `number`: what the server answered, or null when it did not get so far. */
export function connectError(server: string, cause: unknown, number: number | null): SqlError {
  if (cause instanceof SqlError) return cause;
  if (number !== null) return replyError(number, server);
  const hint = isEncryption(cause) ? "check encrypt, TrustServerCertificate and the server's certificate" : "";
  return unreachableError(server, cause, hint);
}

/** tedious says so itself, or carries what Node says inside. */
function isEncryption(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  return ("code" in cause && cause.code === "EENCRYPT") || isTlsFailure(cause.cause);
}
