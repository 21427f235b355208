// Whether the PEM texts of a manifest can be read, before a TLS connection is made of them. Repeats nothing of their text.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Fault } from "./fault.ts";

/** By the names of their fields; "" for a text that is not given. */
export interface PemTexts {
  readonly certificates: Readonly<Record<string, string>>;
  readonly keys?: Readonly<Record<string, string>>;
}

/** An error for each text that holds no certificate, or no private key without a password. */
export function pemFaults({ certificates, keys = {} }: PemTexts): readonly Fault[] {
  const unread = (texts: Readonly<Record<string, string>>, read: (text: string) => unknown): readonly string[] =>
    Object.entries(texts).flatMap(([field, text]) => (text === "" || read(text) !== null ? [] : [field]));
  return [
    ...unread(certificates, readCertificate).map((field) => fault(field, "CERTIFICATE", "a certificate")),
    ...unread(keys, readKey).map((field) => fault(field, "PRIVATE KEY", "a private key without a password")),
  ];
}

function fault(field: string, label: string, what: string): Fault {
  const want = `the PEM text of ${what}`;
  return { severity: "error", field, got: null, want, hint: `it begins with -----BEGIN ${label}-----` };
}

/** Of several the first. */
function readCertificate(text: string): X509Certificate | null {
  return readOrNull(() => new X509Certificate(text));
}

function readKey(text: string): KeyObject | null {
  return readOrNull(() => createPrivateKey(text));
}

function readOrNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    // OpenSSL's words may hold a part of what it was given, and are no help to who wrote a manifest.
    return null;
  }
}
