// Why a connection could not be made, from the words of a client library that says so in prose. Gives words of its own and
// the system's codes only: what a library says may name more than a log should.

/** The code of the system's or the resolver's answer. */
const SYSTEM_CODE = /\b(ECONN\w+|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EAI_AGAIN)\b/;

/** Parts of what OpenSSL (x509_txt.c) and Node's tls say of the other side's certificate, each with what it means. */
const CERTIFICATE_WORDS: readonly (readonly [part: string, cause: string])[] = [
  ["certificate has expired", "the server's certificate has expired"],
  ["certificate is not yet valid", "the server's certificate is not valid yet"],
  ["self-signed certificate in certificate chain", "the server's certificate is of an unknown authority"],
  ["self-signed certificate", "the server's certificate is self-signed"],
  ["unable to verify the first certificate", "the server's certificate is of an unknown authority"],
  ["issuer certificate", "the server's certificate is of an unknown authority"],
];

const OTHER_NAME = "the server's certificate is for another name";
/**
 * Node's words (checkServerIdentity in lib/tls.js): the name that was asked for, as "Host: db." or "IP: 10.0.0.7", and those
 * of the certificate, as "DNS:a, IP Address:10.0.0.8". Nothing else of the certificate, and no character that is not seen.
 */
const NAMES =
  /(?:Host|IP): (\S{1,253}?)\.? is not (?:in the cert's \w+|cert's CN): ?((?:IP Address:)?[!-+\--~]+(?:, (?:IP Address:)?[!-+\--~]+)*)?/;
const NAMES_LENGTH_MAX = 200;

/** The same for the rest of the handshake. An "alert" is what the other side says of this one (ssl_stat.c). */
const HANDSHAKE_WORDS: readonly (readonly [part: string, cause: string])[] = [
  ["wrong version number", "the server does not speak TLS"],
  ["before secure TLS connection", "the server broke off the TLS handshake, as one does that speaks none"],
  ["alert certificate required", "the server wants a certificate of the client"],
  ["alert bad certificate", "the server refused the client's certificate"],
  ["alert unknown ca", "the server refused the client's certificate: it does not know its authority"],
  ["alert certificate unknown", "the server refused the client's certificate"],
  ["alert certificate expired", "the server refused the client's certificate: it has expired"],
  ["alert certificate revoked", "the server refused the client's certificate: it was revoked"],
  ["alert unsupported certificate", "the server refused the client's certificate"],
  ["alert handshake failure", "the server refused the TLS handshake, as it does without a client's certificate"],
  ["alert protocol version", "the server does not speak this version of TLS"],
  ["unsupported protocol", "the server does not speak this version of TLS"],
];

/** What @grpc/grpc-js says of a port on which something else than gRPC speaks. */
const GRPC_WORDS: readonly (readonly [part: string, cause: string])[] = [
  ["Last error: Protocol error", "what answers there speaks no gRPC: another server, or one that wants TLS"],
  ["Last error: Failed to connect", "what is there ends the connection: another server, or one that wants TLS"],
];

/** "the server's certificate has expired"; null when no fault of a certificate is known among the words. */
export function certificateCause(words: string): string | null {
  return words.includes("does not match certificate's altnames")
    ? otherNameCause(words)
    : causeAmong(CERTIFICATE_WORDS, words);
}

function otherNameCause(words: string): string {
  const [, asked, names = ""] = NAMES.exec(words) ?? [];
  if (asked === undefined) return OTHER_NAME;
  // @grpc/grpc-js has its full stop behind them.
  const told = names.replace(/\.$/, "");
  const shown = told.length > NAMES_LENGTH_MAX ? `${told.slice(0, NAMES_LENGTH_MAX)}…` : told;
  return `${OTHER_NAME} than ${asked}${shown === "" ? "" : `: ${shown}`}`;
}

/** The same, or "the server does not speak TLS"; null when the words are not known to be about a TLS handshake. */
export function tlsCause(words: string): string | null {
  return certificateCause(words) ?? causeAmong(HANDSHAKE_WORDS, words);
}

/** The reason in what OpenSSL says: "1A2B:error:0A000126:SSL routines:where:reason:file:line:". */
const OPENSSL_REASON = /error:[\dA-F]{8}:[^:]*:[^:]*:([^:\n]+)/;

/** The same for Node's own words, which are given as they are where no cause is known; of OpenSSL's: "TLS: bad record mac". */
export function tlsWords(message: string): string {
  const reason = OPENSSL_REASON.exec(message)?.[1];
  return tlsCause(message) ?? (reason === undefined ? message : `TLS: ${reason}`);
}

/** As `tlsCause`, or "ECONNREFUSED"; null when no cause is known among the words. */
export function connectCause(words: string): string | null {
  return tlsCause(words) ?? SYSTEM_CODE.exec(words)?.[1] ?? causeAmong(GRPC_WORDS, words);
}

function causeAmong(table: readonly (readonly [part: string, cause: string])[], words: string): string | null {
  return table.find(([part]) => words.includes(part))?.[1] ?? null;
}
