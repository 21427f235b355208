// Says who we are to an OAuth token endpoint by a signature in place of a secret: the assertion of private_key_jwt
// (RFC 7523; OpenID Connect Core 9). Knows no endpoint.
import { createPrivateKey, sign } from "node:crypto";
import { readCertificate, readKey } from "#kit/pem.ts";

export interface AssertionOptions {
  readonly clientId: string;
  /** For whom it is meant: one text, since some endpoints take no list. */
  readonly audience: string;
  /** Under which name the endpoint knows the key; empty: the header has none. */
  readonly keyId: string;
  /** PEM text of an RSA key. */
  readonly key: string;
}

/** Long enough for one request over a slow line; one that is stolen is soon worth nothing. */
const LIFE_SEC = 60;

/** A JWT signed with RS256. `id` is used once. Throws when the key is none; {@link keyFault} tells beforehand. */
export function clientAssertion(options: AssertionOptions, nowMs: number, id: string): string {
  const { clientId, audience, keyId, key } = options;
  const nowSec = Math.floor(nowMs / 1000);
  const header = { alg: "RS256", ...(keyId === "" ? {} : { kid: keyId }), typ: "JWT" };
  const times = { iat: nowSec, nbf: nowSec, exp: nowSec + LIFE_SEC };
  const claims = { iss: clientId, sub: clientId, aud: audience, ...times, jti: id };
  const signed = `${encoded(header)}.${encoded(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), createPrivateKey(key)).toString("base64url")}`;
}

/** What is wanted in place of a PEM text that cannot sign, or null for one that can. */
export function keyFault(key: string): string | null {
  return readKey(key)?.asymmetricKeyType === "rsa" ? null : "PEM text of an RSA private key without a password";
}

/** What is wanted in place of a PEM text that is no certificate, or not that of the key; null for the key's own. */
export function certificateFault(certificate: string, key: string): string | null {
  const [read, own] = [readCertificate(certificate), readKey(key)];
  if (read === null) return "PEM text of a certificate";
  return own === null || read.checkPrivateKey(own) ? null : "the certificate of the key in oidcClientAssertionKey";
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
