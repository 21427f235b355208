// Makes X.509 certificates (RFC 5280) with ECDSA P-256 keys: CAs, CAs signed by other CAs, leaves of servers.
// Only writes: keys, signatures and every reading of a certificate are OpenSSL's, by node:crypto.
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { assert } from "#kit/assert.ts";
import {
  bitString,
  bitsOf,
  boolean,
  context,
  membersOf,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  unsigned,
  utf8String,
} from "./der.ts";

/** A private key and the certificate for it, PEM. */
export interface Pair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Milliseconds since 1970, both ends included; whole seconds count. */
export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

const SIGNED_WITH = sequence(oid("1.2.840.10045.4.3.2")); // ecdsa-with-SHA256
const COMMON_NAME = oid("2.5.4.3");
const EXTENSION = {
  subjectKeyId: oid("2.5.29.14"),
  keyUsage: oid("2.5.29.15"),
  subjectAltName: oid("2.5.29.17"),
  basicConstraints: oid("2.5.29.19"),
  authorityKeyId: oid("2.5.29.35"),
  extendedKeyUsage: oid("2.5.29.37"),
} as const;
const SERVER_AUTH = oid("1.3.6.1.5.5.7.3.1");
const VERSION_3 = context(0, unsigned(Buffer.of(2)), "around");
const SERIAL_BYTES = 16;
/** digitalSignature is the first bit, keyCertSign and cRLSign the sixth and seventh (RFC 5280 4.2.1.3). */
const USAGE_OF_LEAF = bitString(Buffer.of(0b1000_0000), 7);
const USAGE_OF_CA = bitString(Buffer.of(0b0000_0110), 1);
const DNS_NAME = 2;
/** Clients go by the DNS names; a common name may have only 64 characters, which such a name can exceed. */
const LEAF_NAME = "pannier-operator";

/** A new CA of a name that no other CA has, so that a client which knows several never takes one for the other. */
export function issueAuthority(validity: Validity): Pair {
  const { publicKey, privateKey } = newKeys();
  const subject = named(`pannier-ca ${randomBytes(4).toString("hex")}`);
  const certificate = { subject, issuer: subject, subjectKey: publicKey, issuerKey: publicKey, validity };
  const extensions = extensionsOfAuthority(publicKey, publicKey);
  return { certificatePem: signed(certificate, extensions, privateKey), keyPem: pemOf(privateKey) };
}

/**
 * The CA `of` once more, with its name and key, signed by the CA `by`: who knows only `by` can go from a leaf of `of`
 * over this to what he knows. Gives PEM.
 */
export function issueBridge(of: string, by: Pair, validity: Validity): string {
  const [bridged, issuer] = [new X509Certificate(of), new X509Certificate(by.certificatePem)];
  const certificate = {
    subject: subjectOf(bridged),
    issuer: subjectOf(issuer),
    subjectKey: bridged.publicKey,
    issuerKey: issuer.publicKey,
    validity,
  };
  const pem = signed(
    certificate,
    extensionsOfAuthority(bridged.publicKey, issuer.publicKey),
    createPrivateKey(by.keyPem),
  );
  return checked(pem, issuer);
}

/** A certificate for a server of these DNS names, with a key of its own. */
export function issueLeaf(names: readonly string[], by: Pair, validity: Validity): Pair {
  const { publicKey, privateKey } = newKeys();
  const issuer = new X509Certificate(by.certificatePem);
  const certificate = {
    subject: named(LEAF_NAME),
    issuer: subjectOf(issuer),
    subjectKey: publicKey,
    issuerKey: issuer.publicKey,
    validity,
  };
  const dnsNames = names.map((name) => context(DNS_NAME, Buffer.from(name, "ascii"), "bytes"));
  const extensions = [
    critical(EXTENSION.basicConstraints, sequence()),
    critical(EXTENSION.keyUsage, USAGE_OF_LEAF),
    extension(EXTENSION.extendedKeyUsage, sequence(SERVER_AUTH)),
    extension(EXTENSION.subjectAltName, sequence(...dnsNames)),
    ...keyIds(publicKey, issuer.publicKey),
  ];
  const pem = signed(certificate, extensions, createPrivateKey(by.keyPem));
  return { certificatePem: checked(pem, issuer), keyPem: pemOf(privateKey) };
}

interface Certificate {
  /** Encoded names. */
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly subjectKey: KeyObject;
  readonly issuerKey: KeyObject;
  readonly validity: Validity;
}

function signed(certificate: Certificate, extensions: readonly Buffer[], key: KeyObject): string {
  const { subject, issuer, subjectKey, validity } = certificate;
  const content = sequence(
    VERSION_3,
    unsigned(randomBytes(SERIAL_BYTES)),
    SIGNED_WITH,
    issuer,
    sequence(time(validity.fromMs), time(validity.untilMs)),
    subject,
    spkiOf(subjectKey),
    context(3, sequence(...extensions), "around"),
  );
  const der = sequence(content, SIGNED_WITH, bitString(sign("sha256", content, key)));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

/** OpenSSL's opinion on what was just made. */
function checked(pem: string, issuer: X509Certificate): string {
  const made = new X509Certificate(pem);
  assert(made.checkIssued(issuer) && made.verify(issuer.publicKey), "a new certificate does not fit its issuer");
  return pem;
}

function extensionsOfAuthority(subjectKey: KeyObject, issuerKey: KeyObject): readonly Buffer[] {
  return [
    critical(EXTENSION.basicConstraints, sequence(boolean(true))),
    critical(EXTENSION.keyUsage, USAGE_OF_CA),
    ...keyIds(subjectKey, issuerKey),
  ];
}

function keyIds(subjectKey: KeyObject, issuerKey: KeyObject): readonly Buffer[] {
  return [
    extension(EXTENSION.subjectKeyId, octetString(keyIdOf(subjectKey))),
    extension(EXTENSION.authorityKeyId, sequence(context(0, keyIdOf(issuerKey), "bytes"))),
  ];
}

function extension(id: Buffer, value: Buffer): Buffer {
  return sequence(id, octetString(value));
}

function critical(id: Buffer, value: Buffer): Buffer {
  return sequence(id, boolean(true), octetString(value));
}

function named(commonName: string): Buffer {
  return sequence(setOf(sequence(COMMON_NAME, utf8String(commonName))));
}

/** As it stands in the certificate, byte for byte. */
function subjectOf(certificate: X509Certificate): Buffer {
  const [content] = membersOf(certificate.raw);
  const subject = content === undefined ? undefined : membersOf(content)[5];
  assert(subject !== undefined, "a certificate that OpenSSL has read has a subject");
  return subject;
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

/** The first 160 bits of the key's SHA-256 (RFC 7093 2, method 1). */
function keyIdOf(key: KeyObject): Buffer {
  const bits = membersOf(spkiOf(key))[1];
  assert(bits !== undefined, "a public key has an algorithm and bits");
  return createHash("sha256").update(bitsOf(bits)).digest().subarray(0, 20);
}

function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}
