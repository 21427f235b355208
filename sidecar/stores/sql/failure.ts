// What SQL drivers know of a failed call besides the contract's code: how it ended, and whether another attempt may fare
// better. Knows no product and none of its error numbers.
import { tlsWords } from "#kit/connect-cause.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

/** How a connection came to its end, or a call to the end of its waiting. */
export type Ending =
  /** The store closes it. */
  | "closed"
  /** No answer in time. */
  | "silent"
  /** The caller of the call under way has left. */
  | "left"
  /** The server or the network broke it. */
  | "broken";

/** Why another attempt of the whole call may fare better. Nothing was written. */
export type Again =
  /** Two transactions met. */
  | "conflict"
  /** The connection was of no use; another one may be. */
  | "connection"
  /** The server takes no writes; one that is found anew under the same name may. */
  | "elsewhere";

/** A StoreError that knows more for a driver's own use. */
export class SqlError extends StoreError {
  readonly again: Again | null;

  constructor(code: StoreErrorCode, message: string, again: Again | null = null) {
    super(code, message);
    this.again = again;
  }
}

/** What an answer of the server comes to. */
export interface Meaning {
  readonly code: StoreErrorCode;
  /** Behind the name of the server: "is out of memory". */
  readonly text: string;
  readonly again: Again | null;
}

export function unavailable(text: string, again: Again | null = null): Meaning {
  return { code: "unavailable", text, again };
}

export function refused(text: string): Meaning {
  return { code: "refused", text, again: null };
}

/** Of an answer that a driver has no words for. */
export const UNKNOWN: Meaning = { code: "failed", text: "refused the statement", again: null };

/** An error that the server answered. */
export class ReplyError extends SqlError {
  /** By the server's own code: its number, as 1045, or its SQLSTATE, as "28P01". */
  readonly reply: number | string;

  constructor({ code, again }: Pick<Meaning, "code" | "again">, message: string, reply: number | string) {
    super(code, message, again);
    this.reply = reply;
  }
}

export interface Loss {
  readonly ending: Ending;
  /** The statement under way takes effect by itself: its outcome is not known. */
  readonly lasting: boolean;
  /** As messages name it: "sqlserver at 127.0.0.1:1433". */
  readonly server: string;
  /** The field that says how long a call may take. */
  readonly timeField: string;
}

/** A statement that was sent and will not be answered any more. */
export function lossError({ ending, lasting, server, timeField }: Loss): SqlError {
  const written = lasting ? "; the write may have happened" : "";
  switch (ending) {
    case "closed":
      return new SqlError(lasting ? "unknown-outcome" : "closed", `the store was closed${written}`);
    case "silent":
      return new SqlError("timeout", `no answer from ${server} within ${timeField}${written}`);
    case "left":
      return new SqlError(
        lasting ? "unknown-outcome" : "timeout",
        `the caller left before ${server} answered${written}`,
      );
    case "broken":
      return new SqlError(
        lasting ? "unknown-outcome" : "unavailable",
        `lost the connection to ${server}${written}`,
        lasting ? null : "connection",
      );
  }
}

export function closedError(): SqlError {
  return new SqlError("closed", "the store was closed");
}

/** Before anything was sent. */
export function leftError(): SqlError {
  return new SqlError("timeout", "the caller left before the work began");
}

/** No connection could be made. The words of the system hold no secret, and those of TLS are put into plain ones. `hint`: what to check, or "". */
export function unreachableError(server: string, cause: unknown, hint: string): SqlError {
  const because = cause instanceof Error && cause.message !== "" ? `: ${tlsWords(cause.message)}` : "";
  const advice = hint === "" ? "" : `; ${hint}`;
  return new SqlError("unavailable", `cannot connect to ${server}${because}${advice}`);
}

/** True for what Node and OpenSSL say of TLS and of certificates. */
export function isTlsFailure(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  // EPROTO: what came is no TLS, or broken.
  const isCode = "code" in cause && /CERT|SSL|TLS|SIGNATURE|EPROTO/.test(String(cause.code));
  return isCode || cause.message.includes("SSL routines");
}
