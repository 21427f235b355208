// What Cassandra, its client library or the connection said, as a StoreError. The server's words can hold keys: only parts
// that are known here are looked at, and none is passed on.
import { errors, types } from "cassandra-driver";
import { tlsWords } from "#kit/connect-cause.ts";
import { StoreError } from "../store.ts";
import { AGREEMENT, levelName } from "./levels.ts";

/** What a statement does: "conditional" for a lightweight transaction, which may have been agreed upon without an answer. */
export type StatementKind = "read" | "write" | "conditional";

const { responseErrorCodes: CODES } = types;
/** Codes that the client's table has no names for. A lightweight transaction whose agreement nobody knows. */
const CAS_UNKNOWN = 0x1700;
/** Of replicas that log changes and have no room for more; the others may have the write. */
const CDC_FAILURE = 0x1600;
const MAY_HAVE = "; the write may have happened";
const NODES_SHOWN = 3;

/** What the client adds to its errors. */
interface Details {
  readonly code?: number;
  readonly coordinator?: string;
  readonly consistencies?: number;
  readonly required?: number;
  readonly alive?: number;
  readonly received?: number;
  readonly blockFor?: number;
  readonly isSocketError?: boolean;
  readonly requestNotWritten?: boolean;
}
type Detailed = Error & Details;

/** The error of a statement. */
export function failureOf(error: unknown, kind: StatementKind): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof errors.NoHostAvailableError) return exhausted(error, kind);
  if (!(error instanceof Error)) return new StoreError("failed", "cassandra's client failed without an error");
  return singleFailure(error, kind);
}

function singleFailure(error: Detailed, kind: StatementKind): StoreError {
  const where = error.coordinator === undefined ? "cassandra" : `cassandra at ${error.coordinator}`;
  if (error instanceof errors.AuthenticationError)
    return new StoreError("unavailable", `${where} refused the sign-in: check username and password`);
  if (error instanceof errors.OperationTimedOutError)
    return new StoreError("timeout", `no answer from ${where} in time${mayHave(kind)}`);
  if (error instanceof errors.BusyConnectionError)
    return new StoreError("unavailable", `too many requests to ${where} wait for their answers`);
  if (error.isSocketError === true && error.requestNotWritten !== true)
    return doubtful(`lost the connection to ${where}`, kind);
  if (error instanceof errors.ResponseError) return refusal(error, where, kind);
  // The system's words, and the client's own before it has sent anything. Those of TLS have numbers of the process in them.
  return new StoreError("unavailable", `cannot reach ${where}: ${tlsWords(error.message)}`);
}

/** The server's answer, by its code in the protocol. */
function refusal(error: Detailed, where: string, kind: StatementKind): StoreError {
  switch (error.code) {
    case CODES.unavailableException:
      return tooFew(error, where, kind);
    case CODES.writeTimeout:
    case CODES.readTimeout:
      return new StoreError("timeout", `the replicas did not answer ${where} in time${counted(error)}${mayHave(kind)}`);
    case CAS_UNKNOWN:
    case CDC_FAILURE:
    case CODES.writeFailure:
    case CODES.readFailure:
      return doubtful(`replicas failed to answer ${where}${counted(error)}`, kind);
    case CODES.overloaded:
      return doubtful(`${where} is overloaded`, kind);
    case CODES.serverError:
      return kind === "read"
        ? new StoreError("failed", `${where} failed`)
        : new StoreError("unknown-outcome", `${where} failed${MAY_HAVE}`);
    case CODES.isBootstrapping:
      return new StoreError("unavailable", `${where} is still starting`);
    case CODES.badCredentials:
      return new StoreError("unavailable", `${where} refused the sign-in: check username and password`);
    case CODES.unauthorized:
      return new StoreError("unavailable", `${where} does not let this user use the table`);
    case CODES.protocolError:
      return new StoreError("unavailable", `${where} does not speak this protocol: check protoVersion`);
    default:
      return invalid(error.message, where);
  }
}

/**
 * Nothing was written, says the protocol. Not so of a lightweight transaction that was agreed upon, and had too few
 * replicas to be written to: a later one, or a strong read, completes it.
 */
function tooFew({ consistencies, required, alive }: Details, where: string, kind: StatementKind): StoreError {
  const level = consistencies === undefined ? "" : ` for ${levelName(consistencies)}`;
  const text = `${where} knows ${alive} of ${required} replicas alive that it needs${level}`;
  const isAgreed = kind === "conditional" && consistencies !== AGREEMENT;
  return isAgreed ? new StoreError("unknown-outcome", text + MAY_HAVE) : new StoreError("unavailable", text);
}

interface Meaning {
  readonly part: string;
  readonly code: "refused" | "failed" | "unavailable";
  readonly text: string;
}

/** Parts of the sentences with which a statement is refused before anything is written. */
const MEANINGS: readonly Meaning[] = [
  { part: "exceeds maximum supported expiration date", code: "refused", text: "keeps no value for so long" },
  { part: "ttl is too large", code: "refused", text: "keeps no value for so long" },
  { part: "is longer than maximum of", code: "refused", text: "takes no key of this length" },
  { part: "oversized mutation", code: "refused", text: "takes no value of this size; see its max_mutation_size" },
  { part: "is too large for the maximum size", code: "refused", text: "takes no value of this size" },
  { part: "Request is too big", code: "refused", text: "takes no request of this size" },
  { part: "not compatible with replication strategy", code: "unavailable", text: "knows no such consistency here" },
  { part: "not found", code: "unavailable", text: "has lost the table, or made it anew" },
  { part: "does not exist", code: "unavailable", text: "has lost the table" },
  { part: "unconfigured table", code: "unavailable", text: "has lost the table" },
];

function invalid(message: string, where: string): StoreError {
  const known = MEANINGS.find(({ part }) => message.includes(part));
  const { code, text } = known ?? { code: "failed" as const, text: "refused the statement" };
  return new StoreError(code, `${where} ${text}`);
}

/** No node was left to ask. The node that may have done something decides, else the one that said most. */
function exhausted(error: errors.NoHostAvailableError, kind: StatementKind): StoreError {
  const inner = Object.entries(error.innerErrors ?? {}) as readonly (readonly [string, unknown])[];
  const told = inner.flatMap(([node, each]) => (each instanceof Error ? [named(each, node)] : []));
  const [first] = told.toSorted((a, b) => weight(b) - weight(a));
  if (first !== undefined) return singleFailure(first, kind);
  const nodes = inner.slice(0, NODES_SHOWN).map(([node]) => node);
  const which = nodes.length === 0 ? "" : `: ${nodes.join(", ")}${inner.length > NODES_SHOWN ? ", …" : ""}`;
  return new StoreError("unavailable", `no node of cassandra can be reached${which}`);
}

function named(error: Detailed, coordinator: string): Detailed {
  return error.coordinator === undefined ? Object.assign(error, { coordinator }) : error;
}

function weight(error: Detailed): number {
  if (error instanceof errors.OperationTimedOutError || error.isSocketError === true) return 3;
  if (error instanceof errors.AuthenticationError) return 2;
  return error instanceof errors.ResponseError ? 1 : 0;
}

function doubtful(text: string, kind: StatementKind): StoreError {
  return kind === "read" ? new StoreError("unavailable", text) : new StoreError("unknown-outcome", text + MAY_HAVE);
}

function counted({ received, blockFor, consistencies }: Details): string {
  if (received === undefined || blockFor === undefined || consistencies === undefined) return "";
  return `: ${received} of ${blockFor} for ${levelName(consistencies)}`;
}

function mayHave(kind: StatementKind): string {
  return kind === "read" ? "" : MAY_HAVE;
}

/** The caller gave up, or the store is closed, while a statement was under way. */
export function abandonedError(ending: "left" | "closed", kind: StatementKind): StoreError {
  if (ending === "left") return new StoreError("timeout", `the caller left before cassandra answered${mayHave(kind)}`);
  return kind === "read" ? closedError() : new StoreError("unknown-outcome", `the store was closed${MAY_HAVE}`);
}

export function closedError(): StoreError {
  return new StoreError("closed", "the store was closed");
}
