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
  ["does not match certificate's altnames", "the server's certificate is for another name"],
];

/** "the server's certificate has expired"; null when no fault of a certificate is known among the words. */
export function certificateCause(words: string): string | null {
  return CERTIFICATE_WORDS.find(([part]) => words.includes(part))?.[1] ?? null;
}

/** The same, or "ECONNREFUSED"; null when no cause is known among the words. */
export function connectCause(words: string): string | null {
  return certificateCause(words) ?? SYSTEM_CODE.exec(words)?.[1] ?? null;
}
