// Makes X.509 certificates (RFC 5280) with ECDSA P-256 keys: CAs, CAs signed by other CAs, leaves of servers. The one file
// that knows the library which writes them; keys, and the check of what was made, are OpenSSL's, by node:crypto.
// To be imported when something is issued, not before: the library costs 50 ms and 18 MB (docs/decisions/0013).
import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate,
} from "node:crypto";
// The library calls Reflect.getMetadata as it is evaluated, so this one comes first.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { assert } from "#kit/assert.ts";

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

/** Whom a certificate is for or of: what it takes from the certificate of a CA as it stands there, byte for byte. */
interface Party {
  readonly subjectName: x509.Name;
  readonly publicKey: x509.PublicKey;
}

interface Content {
  readonly subject: Party;
  readonly issuer: Party;
  readonly validity: Validity;
  /** Besides the identifiers of the keys. */
  readonly extensions: readonly x509.Extension[];
}

const ECDSA = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNED_WITH = { name: "ECDSA", hash: "SHA-256" } as const;
const KEY_ID_BYTES = 20;
/** Clients go by the DNS names; a common name may have only 64 characters, which such a name can exceed. */
const LEAF_NAME = "pannier-operator";

/** A new CA of a name that no other CA has, so that a client which knows several never takes one for the other. */
export async function issueAuthority(validity: Validity): Promise<Pair> {
  const { publicKey, privateKey } = newKeys();
  const self = partyOf(`pannier-ca ${randomBytes(4).toString("hex")}`, publicKey);
  const content = { subject: self, issuer: self, validity, extensions: extensionsOfAuthority() };
  const pem = await signed(content, privateKey);
  return { certificatePem: checked(pem, pem), keyPem: pemOf(privateKey) };
}

/**
 * The CA `of` once more, with its name and key, signed by the CA `by`: who knows only `by` can go from a leaf of `of`
 * over this to what he knows. Gives PEM.
 */
export async function issueBridge(of: string, by: Pair, validity: Validity): Promise<string> {
  const [subject, issuer] = [new x509.X509Certificate(of), new x509.X509Certificate(by.certificatePem)];
  const content = { subject, issuer, validity, extensions: extensionsOfAuthority() };
  return checked(await signed(content, createPrivateKey(by.keyPem)), by.certificatePem);
}

/** A certificate for a server of these DNS names, with a key of its own. */
export async function issueLeaf(names: readonly string[], by: Pair, validity: Validity): Promise<Pair> {
  const { publicKey, privateKey } = newKeys();
  const subject = partyOf(LEAF_NAME, publicKey);
  const issuer = new x509.X509Certificate(by.certificatePem);
  const content = { subject, issuer, validity, extensions: extensionsOfLeaf(names) };
  const pem = await signed(content, createPrivateKey(by.keyPem));
  return { certificatePem: checked(pem, by.certificatePem), keyPem: pemOf(privateKey) };
}

function partyOf(commonName: string, publicKey: KeyObject): Party {
  return {
    subjectName: new x509.Name([{ CN: [{ utf8String: commonName }] }]),
    publicKey: new x509.PublicKey(publicKey.export({ type: "spki", format: "der" })),
  };
}

function extensionsOfAuthority(): readonly x509.Extension[] {
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
  ];
}

function extensionsOfLeaf(names: readonly string[]): readonly x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))),
  ];
}

/** Gives PEM. The serial number is the library's: 16 random bytes. */
async function signed(content: Content, key: KeyObject): Promise<string> {
  const { subject, issuer, validity, extensions } = content;
  const made = await x509.X509CertificateGenerator.create(
    {
      subject: subject.subjectName,
      publicKey: subject.publicKey,
      issuer: issuer.subjectName,
      notBefore: new Date(validity.fromMs),
      notAfter: new Date(validity.untilMs),
      signingKey: key.toCryptoKey(ECDSA, false, ["sign"]),
      signingAlgorithm: SIGNED_WITH,
      extensions: [
        ...extensions,
        new x509.SubjectKeyIdentifierExtension(await keyIdOf(subject.publicKey)),
        new x509.AuthorityKeyIdentifierExtension(await keyIdOf(issuer.publicKey)),
      ],
    },
    webcrypto,
  );
  return `${made.toString("pem")}\n`;
}

/** The first 160 bits of the key's SHA-256 (RFC 7093 2, method 1), as hexadecimal digits; the library's own is SHA-1. */
async function keyIdOf(publicKey: x509.PublicKey): Promise<string> {
  const digest = await publicKey.getKeyIdentifier("SHA-256", webcrypto);
  return Buffer.from(digest, 0, KEY_ID_BYTES).toString("hex");
}

/** OpenSSL's opinion on what was just made. */
function checked(madePem: string, issuerPem: string): string {
  const [made, issuer] = [new X509Certificate(madePem), new X509Certificate(issuerPem)];
  assert(made.checkIssued(issuer) && made.verify(issuer.publicKey), "a new certificate does not fit its issuer");
  return madePem;
}

function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: ECDSA.namedCurve });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}
