// What an error of the client library tells about connecting: whether a request can have left, and why there was no
// connection. Gives words of its own and the system's codes; knows no answer of a server.
import { type MongoClient, type MongoError, MongoNetworkError, MongoServerSelectionError } from "mongodb";
import { certificateCause, tlsCause } from "#kit/connect-cause.ts";

/** Errors of the pool that the library does not export. */
const BEFORE_SENDING: ReadonlySet<string> = new Set(["MongoPoolClearedError", "MongoWaitQueueTimeoutError"]);
/** Of a connection that was there the system says "read" or "write". Records of `server` are looked up before any is. */
const CONNECTING = /\b(?:connect|getaddrinfo|querySrv|queryTxt) (E[A-Z_]+)\b/;
/** How Node says that a connection ended before anything was said over it. */
const BEFORE_TLS = "before secure TLS connection";

/** The request cannot have left this machine. */
export function wasNotSent(error: MongoError): boolean {
  if (error instanceof MongoServerSelectionError || BEFORE_SENDING.has(error.name)) return true;
  // Labels of what happens while a connection is made; servers that are overloaded answer, and are no network error.
  if (error.hasErrorLabel("HandshakeError")) return true;
  if (!(error instanceof MongoNetworkError)) return false;
  if (error.hasErrorLabel("SystemOverloadedError") || ("beforeHandshake" in error && error.beforeHandshake === true))
    return true;
  const { message } = error;
  return CONNECTING.test(message) || certificateCause(message) !== null || message.includes(BEFORE_TLS);
}

/** What OpenSSL and Node say of a file that was read, each with what it means. */
const FILE_WORDS: readonly (readonly [part: string, cause: string])[] = [
  ["bad decrypt", "tlsCertificateKeyFilePassword does not open the key in tlsCertificateKeyFile"],
  ["key values mismatch", "the key in tlsCertificateKeyFile is not that of the certificate in it"],
  ["no start line", "tlsCertificateKeyFile does not hold a certificate and its key as PEM text"],
  ["DECODER routines::unsupported", "tlsCertificateKeyFile does not hold a certificate and its key as PEM text"],
  ["Failed to parse CRL", "tlsCRLFile does not hold a list of revoked certificates as PEM text"],
];

const TLS_TROUBLE = /certificate|self[- ]signed|\b(CERT|SSL|TLS)|EPROTO|altnames/i;
/** How the library says that a server ended a connection without an answer to the first word. */
const ENDED = /^connection .* closed$/;

/** Why there is no connection and what to look at, to stand behind the server: ": ECONNREFUSED; no primary is there". */
export function connectWords(error: MongoError): string {
  const { message } = error;
  const ownFault = FILE_WORDS.find(([part]) => message.includes(part))?.[1];
  if (ownFault !== undefined) return `: ${ownFault}`;
  const selection = error instanceof MongoServerSelectionError ? selectionWords(error) : "";
  const cause = CONNECTING.exec(message)?.[1] ?? tlsCause(message);
  const because = cause === null ? "" : `: ${cause}`;
  return because + hintOf(message, cause) + selection;
}

function hintOf(message: string, cause: string | null): string {
  if (cause?.includes("client") === true) return "; see tlsCertificateKeyFile in docs/stores/mongodb.md";
  if (TLS_TROUBLE.test(message)) return "; check tls in params, and the server's certificate";
  return ENDED.test(message) ? ": it ends connections without an answer; check tls in params" : "";
}

/** What the servers that could be asked are, where the question was which one to take. */
function selectionWords({ reason }: MongoServerSelectionError): string {
  if (reason === undefined) return "";
  const servers = [...reason.servers.values()];
  if (servers.length === 0) return ": it is not in the replica set that params or connectionString name";
  if (reason.type === "ReplicaSetWithPrimary") return "; no server fits the read preference";
  // A member answers; one that does not is unknown.
  if (servers.some(({ type }) => type.startsWith("RS"))) return "; no primary is there";
  return servers.every(({ error }) => error === null) ? ": no answer in time" : "";
}

const FILES = ["tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile"] as const;

/** What is wrong with a file that the options of a connection name; null where the error is about none. */
export function fileWords(error: unknown, { options }: MongoClient): string | null {
  if (!(error instanceof Error && "path" in error && "code" in error)) return null;
  const name = FILES.find((each) => options[each] === error.path);
  return name === undefined
    ? null
    : `cannot read the file of ${name}: ${String(error.code)}; give the path of a PEM file`;
}
