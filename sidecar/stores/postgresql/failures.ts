// What the server or the connection said, as a StoreError with what to do about it. PostgreSQL quotes values in messages
// and details, so none of its own words are passed on: the SQLSTATE decides
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
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

const CHECK_SIGN_IN = "check user and password, or with a token the user's right to sign in by one";

/** pgbouncer has one SQLSTATE for all that it says by itself. */
const POOLER =
  "ended the session; where it is pgbouncer, its log says why: its server is down or has no free connection, or it does not take a database or a session setting of connectionString";
const LAYOUT = "see the layout in docs/stores/postgresql.md";
const GOING_DOWN = unavailable("is shutting down or was told to end this connection", "connection");
const UNSURE: Meaning = {
  code: "unknown-outcome",
  text: "does not know whether the change was made; read it again",
  again: null,
};
const FORGOTTEN: Meaning = {
  code: "failed",
  text: "lost a prepared statement; behind a pooler in transaction mode set queryExecMode to exec",
  again: "connection",
};

const MEANINGS: Readonly<Record<string, Meaning>> = {
  "08P01": unavailable(POOLER),
  "28P01": unavailable(`refused the user or the password; ${CHECK_SIGN_IN}`),
  "28000": unavailable(`does not let this user in from here; ${CHECK_SIGN_IN}, sslmode, and the server's pg_hba.conf`),
  "3D000": unavailable("has no database of that name; check database"),
  "3F000": unavailable("has no schema of that name; create it, or change the table's name"),
  "42704": unavailable("does not know a session setting of connectionString; check the names of its parameters"),
  "53100": unavailable("has no space left on its disk; free some, reads still work"),
  "53200": unavailable("is out of memory"),
  "53300": unavailable("has no free connection; lower maxConns, or raise max_connections there"),
  "55P03": unavailable("keeps a row locked for longer than its lock_timeout"),
  "57P01": GOING_DOWN,
  "57P02": GOING_DOWN,
  "57P03": unavailable("is starting up or shutting down"),
  "57P05": GOING_DOWN,
  "25006": unavailable(
    "takes no writes: it is a standby or read-only; name the primary, or several hosts with target_session_attrs=read-write",
    "elsewhere",
  ),
  "25P03": unavailable("ended a transaction whose client was silent for too long; nothing was written", "connection"),
  "42501": unavailable("does not let this user use the tables; see the rights in docs/stores/postgresql.md"),
  "42P01": unavailable(
    "has no such table: it was dropped, or search_path changed; open the Component again to make it (docs/hot-reload.md)",
  ),
  "42703": { code: "corrupt", text: `has a table with other columns; ${LAYOUT}`, again: null },
  "42883": {
    code: "failed",
    text: "lacks a function of this driver; is it another database than the type says, or older than docs/stores ask for?",
    again: null,
  },
  "57014": { code: "timeout", text: "cancelled the statement; nothing was written", again: null },
  "40001": { ...unavailable("undid the change because another one met it; try again"), again: "conflict" },
  "40003": UNSURE,
  "40P01": { ...unavailable("undid the change to end a deadlock; try again"), again: "conflict" },
  "0A000": {
    code: "failed",
    text: "does not support a statement of this driver; is it older than docs/stores ask for?",
    again: null,
  },
  "26000": FORGOTTEN,
  "42P05": FORGOTTEN,
  "22P02": refused(`cannot hold this text as JSON; ${LAYOUT}`),
  "22P05": refused(`cannot hold a character of this text; ${LAYOUT}`),
  "22021": refused(`cannot hold a character of this text; ${LAYOUT}`),
  "22003": refused("cannot hold a number of this size"),
  "54000": refused("cannot hold a value or a key of this size"),
  "54001": refused("cannot hold JSON of this depth; raise max_stack_depth there"),
};

/** By the first two characters, for what is not in the table. */
const CLASSES: Readonly<Record<string, Meaning>> = {
  "08": unavailable("has trouble with the connection"),
  "28": unavailable(`refused to let the user in; ${CHECK_SIGN_IN}`),
  "53": unavailable("has run out of a resource"),
  "57": unavailable("was interrupted by its operator"),
  "58": unavailable("has trouble with its disk or its system; see its log"),
  XX: unavailable("has damaged data or a bug; see its log"),
};

/** An error that the server answered. `server`: "postgresql at 127.0.0.1:5432". */
export function replyError(sqlState: string, server: string): ReplyError {
  const meaning = MEANINGS[sqlState] ?? CLASSES[sqlState.slice(0, 2)];
  return meant(meaning ?? UNKNOWN, sqlState, server);
}

/** The same of a statement that was prepared: PostgreSQL has one SQLSTATE for what it lacks, and for a plan of an older table. */
export function preparedError(sqlState: string, server: string): ReplyError {
  return sqlState === "0A000" ? meant(FORGOTTEN, sqlState, server) : replyError(sqlState, server);
}

/** Cancelled, out of something, broken: what a database of several nodes may say of a change that was made all the same. */
const UNSURE_CLASSES: ReadonlySet<string> = new Set(["53", "57", "58", "XX"]);

/** The same of a change, from a server whose errors do not always undo. */
export function unsureError(sqlState: string, server: string): ReplyError {
  if (!UNSURE_CLASSES.has(sqlState.slice(0, 2))) return replyError(sqlState, server);
  return meant(sqlState === CANCELLED ? { ...UNSURE, code: "timeout" } : UNSURE, sqlState, server);
}

const CANCELLED = "57014";

function meant(meaning: Meaning, sqlState: string, server: string): ReplyError {
  return new ReplyError(meaning, `${server} ${meaning.text} (SQLSTATE ${sqlState})`, sqlState);
}

/** Two sessions meet in the catalog that make the same thing, in spite of IF NOT EXISTS; 55000: it is an identity already. */
const MADE_ELSEWHERE: ReadonlySet<unknown> = new Set(["23505", "42710", "42P07", "42701", "55000"]);

/** True for the ways in which two sessions that make the same thing meet. */
export function isMadeElsewhere(error: unknown): boolean {
  return error instanceof ReplyError && MADE_ELSEWHERE.has(error.reply);
}

/** True for an answer after which the connection is gone, so that nobody saw whether a change was made. */
export function endsSession(sqlState: string): boolean {
  return sqlState.startsWith("57P") || sqlState.startsWith("08");
}

/** A write that is committed, while nobody knows whether the standbys have it that synchronous_commit waits for. */
export function unreplicatedError(server: string): SqlError {
  const what = `the write is committed on ${server}; its waiting for standbys was ended, it may not be replicated`;
  return new SqlError("unknown-outcome", what);
}

/** No connection could be made. The words of the system and of TLS hold no secret. */
export function connectError(server: string, cause: unknown): SqlError {
  if (cause instanceof SqlError) return cause;
  const sqlState = sqlStateOf(cause);
  if (sqlState !== null) return replyError(sqlState, server);
  const words = cause instanceof Error ? cause.message : "";
  if (words.startsWith(WITHOUT_PASSWORD))
    return new SqlError(
      "unavailable",
      `${server} wants a password; set password, or password or passfile in connectionString`,
    );
  if (words === WITHOUT_TLS)
    return new SqlError(
      "unavailable",
      `cannot connect to ${server}: it speaks no TLS; check sslmode in connectionString`,
    );
  const hint = isTlsFailure(cause) ? "check sslmode, sslrootcert and the server's certificate" : "";
  return unreachableError(server, cause, hint);
}

/** How pg says by itself that it has no password to give, and that the server answered "N" to its wish for TLS. */
const WITHOUT_PASSWORD = "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be";
const WITHOUT_TLS = "The server does not support SSL connections";

/** The SQLSTATE of what pg rejects with, or null when it is none of the server's answers. */
export function sqlStateOf(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error) || !("severity" in error)) return null;
  return typeof error.code === "string" && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null;
}
