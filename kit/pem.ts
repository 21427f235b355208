// Whether PEM texts can be read, before a TLS connection is made of them: OpenSSL's own words name no field, and of a list
// of authorities it leaves out in silence what comes behind one that it cannot read. Repeats nothing of a text.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Fault } from "./fault.ts";

/** By the names of their fields; "" for a text that is not given. */
export interface PemTexts {
  /** One or several each. */
  readonly certificates: Readonly<Record<string, string>>;
  readonly keys?: Readonly<Record<string, string>>;
  /** The fields of a certificate and of its key. */
  readonly pair?: readonly [certificate: string, key: string];
}

/** The first certificate of a text that cannot be read. */
export interface Unread {
  /** From 1; 0 in a text that has none. */
  readonly place: number;
  /** How many the text has. */
  readonly of: number;
}

/** An error for each text that cannot be read, and for a key that is another certificate's. */
export function pemFaults({ certificates, keys = {}, pair }: PemTexts): readonly Fault[] {
  const faults = [
    ...given(certificates).flatMap(([field, text]) => certificateFaults(field, unreadCertificate(text))),
    ...given(keys).flatMap(([field, text]) => (readKey(text) === null ? [keyFault(field)] : [])),
  ];
  if (pair === undefined || faults.length > 0) return faults;
  const [field, key] = pair;
  const [certificate = "", keyText = ""] = [certificates[field], keys[key]];
  if (certificate === "" || keyText === "" || isPair(certificate, keyText)) return faults;
  return [fault(field, `the certificate of the key in ${key}`, "where there are several, the first has to be")];
}

function given(texts: Readonly<Record<string, string>>): readonly (readonly [field: string, text: string])[] {
  return Object.entries(texts).filter(([, text]) => text !== "");
}

function certificateFaults(field: string, unread: Unread | null): readonly Fault[] {
  if (unread === null) return [];
  const { place, of } = unread;
  if (of === 0) return [fault(field, "the PEM text of a certificate", "it begins with -----BEGIN CERTIFICATE-----")];
  const want = `certificates that can be read: certificate ${place} of ${of} cannot be`;
  return [fault(field, want, "copy it whole, from the line that begins it to the line that ends it")];
}

function keyFault(field: string): Fault {
  return fault(field, "the PEM text of a private key without a password", "it begins with -----BEGIN PRIVATE KEY-----");
}

function fault(field: string, want: string, hint: string): Fault {
  return { severity: "error", field, got: null, want, hint };
}

/** As OpenSSL spells it: the plain one, and what its own tools have written besides. */
const BEGINNING = /^-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/gm;

/** Null when the text has certificates, and each can be read. */
export function unreadCertificate(text: string): Unread | null {
  const places = [...text.matchAll(BEGINNING)].map(({ index }) => index);
  const unread = places.findIndex((from, place) => readCertificate(text.slice(from, places[place + 1])) === null);
  return unread < 0 && places.length > 0 ? null : { place: unread + 1, of: places.length };
}

/** Of several the first, which is the one that a key belongs to; null for a text that cannot be read. */
export function readCertificate(text: string): X509Certificate | null {
  return readOrNull(() => new X509Certificate(text));
}

/** `password`: of a key that has one; else "". Null for a text that cannot be read, or not by this password. */
export function readKey(text: string, password = ""): KeyObject | null {
  return readOrNull(() => createPrivateKey(password === "" ? text : { key: text, passphrase: password }));
}

/** Whether both can be read and belong together. */
export function isPair(certificate: string, key: string, password = ""): boolean {
  const read = readKey(key, password);
  return read !== null && readCertificate(certificate)?.checkPrivateKey(read) === true;
}

function readOrNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    // OpenSSL's words may hold a part of what it was given, and are no help to who wrote a manifest.
    return null;
  }
}
