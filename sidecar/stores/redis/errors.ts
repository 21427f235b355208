// What the server or the connection said, as a StoreError with what to do about it. The server's own words are passed on
// only where they cannot hold a value: Redis quotes arguments in some of them.
import { tlsWords } from "#kit/connect-cause.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

/** Whether a command may have changed something when its answer is lost. */
export type Effect = "read" | "write";

/** How a connection came to its end. */
export type Ending =
  /** The store closes it. */
  | "closed"
  /** No answer within the read timeout. */
  | "silent"
  /** The server or the network broke it. */
  | "broken";

/** Where a node of a cluster sends a command that it does not run itself. */
export interface Redirect {
  readonly slot: number;
  /** As the node spells it: "10.0.0.7:6379", or ":6379" for its own host. */
  readonly address: string;
  /** The slot is on its way there: for this one command only, and announced by ASKING. */
  readonly asking: boolean;
}

/** A StoreError that knows more for the driver's own use. */
export class RedisError extends StoreError {
  /** Certainly nothing was written, and another attempt may fare better. */
  readonly repeatable: boolean;
  /** The code word of the server's answer, as "READONLY"; null when the server did not answer. */
  readonly reply: string | null;
  /** Null unless the command has to go to another node of a cluster. */
  readonly redirect: Redirect | null;

  constructor(
    code: StoreErrorCode,
    message: string,
    more: { repeatable?: boolean; reply?: string; redirect?: Redirect | null; cause?: unknown } = {},
  ) {
    super(code, message, more.cause === undefined ? undefined : { cause: more.cause });
    this.repeatable = more.repeatable ?? false;
    this.reply = more.reply ?? null;
    this.redirect = more.redirect ?? null;
  }
}

interface Meaning {
  readonly code: StoreErrorCode;
  readonly text: string;
  readonly repeatable: boolean;
}

const NAME_THE_MASTER = "redisHost must name the master, or with failover its sentinels";
const OTHER_NODE = 'is a node of a cluster, and the keys are on another one; redisType must be "cluster"';
const CHECK_SIGN_IN = "check redisUsername and redisPassword";

function unavailable(text: string, repeatable = false): Meaning {
  return { code: "unavailable", text, repeatable };
}

const NO_RIGHTS = unavailable(noRights("run a command or use a key"));
const OTHER_TYPE: Meaning = { code: "corrupt", text: "holds a value of another type under the key", repeatable: false };
const NO_RIGHTS_HALFWAY: Meaning = { ...NO_RIGHTS, code: "unknown-outcome" };

function noRights(to: string): string {
  return `does not let this ACL user ${to}; see the rights in docs/stores/redis.md`;
}

/** By the first word of the server's answer (https://redis.io/docs/latest/develop/reference/protocol-spec/). */
const REPLIES: Readonly<Record<string, Meaning>> = {
  NOAUTH: unavailable(`wants a password; ${CHECK_SIGN_IN}`),
  WRONGPASS: unavailable(`refused the user or the password; ${CHECK_SIGN_IN}`),
  NOPERM: NO_RIGHTS,
  READONLY: unavailable(`is a read-only replica; ${NAME_THE_MASTER}`, true),
  OOM: unavailable("is out of memory; raise maxmemory, or let keys expire"),
  MISCONF: unavailable("refuses writes because it cannot save to its disk; free the disk and see the server's log"),
  NOREPLICAS: unavailable("refuses writes because fewer replicas are connected than min-replicas-to-write asks for"),
  LOADING: unavailable("is still loading its data", true),
  MASTERDOWN: unavailable(`is a replica without its master; ${NAME_THE_MASTER}`),
  BUSY: unavailable("is busy with a long script; end it with SCRIPT KILL"),
  TRYAGAIN: unavailable("asks to try again", true),
  CLUSTERDOWN: unavailable("is a node of a cluster that is down: a hash slot has no master, or most masters are gone"),
  MOVED: unavailable(OTHER_NODE),
  ASK: unavailable(OTHER_NODE),
  CROSSSLOT: unavailable(OTHER_NODE),
  WRONGTYPE: OTHER_TYPE,
  NOSCRIPT: { code: "failed", text: "does not know the script", repeatable: false },
};

/** Answers that begin with the plain word ERR, or with none, and are told apart by their text, for want of a code. */
const PLAIN_REPLIES: readonly { readonly part: string; readonly meaning: Meaning; readonly reply?: string }[] = [
  // So the module for JSON says it.
  { part: "Existing key has wrong Redis type", meaning: OTHER_TYPE, reply: "WRONGTYPE" },
  // Raised in the middle of a script: what ran before it stays. The second is how newer servers than Redis 7.0 put it.
  { part: "user executing the script can't", meaning: NO_RIGHTS_HALFWAY },
  { part: "ACL failure in script", meaning: NO_RIGHTS_HALFWAY },
  { part: "max number of clients", meaning: unavailable("has no free connection; raise maxclients", true) },
  { part: "invalid password", meaning: unavailable(`refused the password; ${CHECK_SIGN_IN}`) },
  { part: "cluster support disabled", meaning: unavailable('is no node of a cluster; redisType must be "node"') },
  { part: "DB index is out of range", meaning: unavailable("has no database of that number; check redisDB") },
];

/** An error that the server answered. `text` is its whole answer; it goes no further than the words that are known. */
export function replyError(text: string, server: string): RedisError {
  const { reply, meaning } = meaningOf(text);
  const command =
    meaning === NO_RIGHTS || meaning === NO_RIGHTS_HALFWAY ? FORBIDDEN_COMMAND.exec(text)?.[1] : undefined;
  const words = command === undefined ? meaning.text : noRights(`run the command '${command}'`);
  const { code, repeatable } = meaning;
  return new RedisError(code, `redis at ${server} ${words}`, { repeatable, reply, redirect: redirectIn(reply, text) });
}

/** "MOVED 3999 127.0.0.1:6381" and "ASK 3999 127.0.0.1:6381". */
function redirectIn(reply: string, text: string): Redirect | null {
  if (reply !== "MOVED" && reply !== "ASK") return null;
  const [, slot = "", address = ""] = text.split(" ");
  return { slot: Number(slot), address, asking: reply === "ASK" };
}

/** A command's name is no secret, unlike the user's and the key's, which stand in quotes or without them elsewhere in the answer. */
const FORBIDDEN_COMMAND = / run the '([\w.|-]{1,64})' command/;

function meaningOf(text: string): { reply: string; meaning: Meaning } {
  const space = text.indexOf(" ");
  const word = space < 0 ? text : text.slice(0, space);
  const known = REPLIES[word];
  if (known !== undefined) return { reply: word, meaning: known };
  for (const { part, meaning, reply = word } of PLAIN_REPLIES) if (text.includes(part)) return { reply, meaning };
  // Redis 6 wraps what a command in a script answered: "ERR Error running script (call to f_…): … -READONLY You …".
  if (text.includes("running script")) {
    for (const [inner, meaning] of Object.entries(REPLIES)) {
      if (text.includes(`${inner} `)) return { reply: inner, meaning };
    }
  }
  return { reply: word, meaning: { code: "failed", text: `answered: ${withoutArguments(text)}`, repeatable: false } };
}

const SHOWN_MAX = 160;

/** Redis quotes what it does not understand, in one of two kinds of quotes; all of that is left out. */
function withoutArguments(text: string): string {
  const quote = text.search(/['"`]|with args/);
  return (quote < 0 ? text : `${text.slice(0, quote)}…`).slice(0, SHOWN_MAX);
}

export interface Loss {
  readonly ending: Ending;
  readonly effect: Effect;
  readonly server: string;
  readonly timeoutMs: number;
  readonly cause: Error | null;
}

/** A command that was sent and will not be answered any more. */
export function lossError(loss: Loss): RedisError {
  const { ending, effect, server, cause } = loss;
  const written = effect === "write" ? "; the write may have happened" : "";
  if (ending === "closed")
    return new RedisError(effect === "write" ? "unknown-outcome" : "closed", `the store was closed${written}`);
  if (ending === "silent") {
    return new RedisError("timeout", `no answer from redis at ${server} within ${loss.timeoutMs} ms${written}`);
  }
  const text = `lost the connection to redis at ${server}${because(cause)}${written}`;
  if (effect === "write") return new RedisError("unknown-outcome", text, { cause });
  return new RedisError("unavailable", text, { cause, repeatable: true });
}

/** A command that never left this process. */
export function unsentError(ending: Ending, server: string): RedisError {
  if (ending === "closed") return closedError();
  return new RedisError("unavailable", `the connection to redis at ${server} is gone`, { repeatable: true });
}

/** No connection could be made. */
export function connectError(server: string, cause: unknown): RedisError {
  if (cause instanceof RedisError) return cause;
  const error = cause instanceof Error ? cause : null;
  const hint = error !== null && isCertificateError(error) ? "; check the certificates of both sides" : "";
  return new RedisError("unavailable", `cannot connect to redis at ${server}${because(error)}${hint}`, { cause });
}

export function closedError(): RedisError {
  return new RedisError("closed", "the store was closed");
}

function because(cause: Error | null): string {
  return cause === null ? "" : `: ${tlsWords(cause.message)}`;
}

function isCertificateError(error: Error): boolean {
  const code = "code" in error ? String(error.code) : "";
  return code.includes("CERT") || code.includes("SSL") || code.includes("TLS") || code.includes("SIGNATURE");
}
