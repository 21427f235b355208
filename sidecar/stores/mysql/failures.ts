// What the server or the connection said, as a StoreError with what to do about it. MySQL quotes keys and values in its
// messages, so none of its own words are passed on: the error number decides
// (https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html, https://mariadb.com/kb/en/mariadb-error-code-reference/).
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

const LAYOUT = "see the layout in docs/stores/mysql.md";
const RIGHTS = "does not give this user the rights; see docs/stores/mysql.md";
const SIGN_IN = "refused the user or the password; check both, and the hosts from which the user may come";
const READ_ONLY = unavailable("takes no writes: it is a replica or read-only; name the primary", "elsewhere");
const TOO_BUSY = unavailable("has no free connection; lower maxConns, or raise max_connections there");
const GOING_DOWN = unavailable("is shutting down or was told to end this connection", "connection");
const FORGOTTEN: Meaning = { code: "failed", text: "lost a prepared statement", again: "connection" };
const FULL = unavailable("has no space left on its disk; free some, reads still work");
const STOPPED: Meaning = { code: "timeout", text: "stopped the statement; nothing was written", again: null };
const OTHER_TABLE: Meaning = { code: "corrupt", text: `has a table with other columns; ${LAYOUT}`, again: null };
const NO_JSON = refused(`cannot hold this value as JSON, or not at this depth; ${LAYOUT}`);
const NO_TEXT = refused(
  "cannot hold a character of this key or value in its columns; make their character set utf8mb4",
);
const TOO_LARGE = refused("takes no statement of this size; raise max_allowed_packet there");

const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [1044, unavailable(RIGHTS)],
  [1045, unavailable(SIGN_IN)],
  [1698, unavailable(SIGN_IN)],
  [1142, unavailable(RIGHTS)],
  [1143, unavailable(RIGHTS)],
  [1227, unavailable(RIGHTS)],
  [1130, unavailable("lets nobody in from this host; check the hosts from which the user may come")],
  [1129, unavailable("has blocked this host after many errors; run FLUSH HOSTS there")],
  [1251, unavailable("wants a way of signing in that this client does not know; change the user's plugin there")],
  [1862, unavailable("says that the password has expired; set a new one")],
  [3118, unavailable("has locked the user's account")],
  [3159, unavailable("takes connections over TLS only; add tls=true to connectionString")],
  [1040, TOO_BUSY],
  [1203, TOO_BUSY],
  [1226, unavailable("has reached a limit of this user; raise it there")],
  [1461, unavailable("keeps too many prepared statements; lower maxConns, or raise max_prepared_stmt_count there")],
  [1049, unavailable("has no such schema: it was dropped; open the Component again to make it (docs/hot-reload.md)")],
  [1146, unavailable("has no such table: it was dropped; open the Component again to make it (docs/hot-reload.md)")],
  [1054, OTHER_TABLE],
  [1364, OTHER_TABLE],
  [1193, unavailable("does not know a system variable of connectionString; check the names of its parameters")],
  [1231, unavailable("does not take the value of a system variable of connectionString")],
  [1021, FULL],
  [1114, FULL],
  [1037, unavailable("is out of memory")],
  [1041, unavailable("is out of memory")],
  [1053, GOING_DOWN],
  [1077, GOING_DOWN],
  [1079, GOING_DOWN],
  [1927, GOING_DOWN],
  [1290, READ_ONLY],
  [1792, READ_ONLY],
  [1836, READ_ONLY],
  [1036, READ_ONLY],
  [1047, unavailable("has no quorum in its cluster, or does not know the command")],
  [1205, { ...STOPPED, text: "kept a row locked for longer than we may wait; nothing was written" }],
  [1213, unavailable("undid the change to end a deadlock; try again", "conflict")],
  [1020, unavailable("undid the change because another one met it; try again", "conflict")],
  [1317, STOPPED],
  [1969, STOPPED],
  [3024, STOPPED],
  [1665, unavailable("writes its log by statements; set binlog_format to ROW or MIXED there, or tx_isolation here")],
  [1243, FORGOTTEN],
  [1153, TOO_LARGE],
  [1301, TOO_LARGE],
  [1406, refused("cannot hold a key or a value of this length")],
  [1292, refused("cannot keep a time so late: the column expiredate ends in January 2038")],
  [1264, refused("cannot keep a number of this size")],
  [1366, NO_TEXT],
  [1267, NO_TEXT],
  [1300, NO_TEXT],
  [3854, NO_TEXT],
  [4025, NO_JSON],
  [3140, NO_JSON],
  [3141, NO_JSON],
  [3144, NO_JSON],
  [3157, NO_JSON],
]);

/** An error that the server answered. `server`: "127.0.0.1:3306". */
export function replyError(number: number, server: string): ReplyError {
  const meaning = MEANINGS.get(number) ?? UNKNOWN;
  return new ReplyError(meaning, `mysql at ${server} ${meaning.text} (error ${number})`, number);
}

const MADE_ELSEWHERE: ReadonlySet<unknown> = new Set([1007, 1050, 1060, 1061]);

/** True for what another session may have made in the same moment: a schema, a table, a column, a key. */
export function isMadeElsewhere(error: unknown): boolean {
  return error instanceof ReplyError && MADE_ELSEWHERE.has(error.reply);
}

/** True for an answer after which the connection is gone, so that nobody saw whether a change was made. */
export function endsSession(number: number): boolean {
  return number === 1053 || number === 1077 || number === 1079 || number === 1927;
}

/** No connection could be made. The words of the system and of TLS hold no secret. */
export function connectError(server: string, cause: unknown): SqlError {
  if (cause instanceof SqlError) return cause;
  const number = errorNumberOf(cause);
  if (number !== null) return replyError(number, server);
  const hint = isTlsFailure(cause) ? "check tls, pemPath and the server's certificate" : "";
  return unreachableError(`mysql at ${server}`, cause, hint);
}

/** The number of what mysql2 rejects with, or null when it is none of the server's answers. */
export function errorNumberOf(error: unknown): number | null {
  if (!(error instanceof Error) || !("errno" in error) || !("sqlState" in error)) return null;
  return typeof error.errno === "number" && error.errno > 0 ? error.errno : null;
}
