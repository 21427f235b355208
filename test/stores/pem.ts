// PEM texts that can be read and open nothing: for the fields of manifests, where no server is asked.
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { rootCertificates } from "node:tls";

const SELF_SIGNED = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=test", "-days", "1"];
/** The key and, behind it, the certificate. */
const made = execFileSync("openssl", [...SELF_SIGNED, "-keyout", "-", "-out", "-"], {
  encoding: "utf8",
  stdio: "pipe",
});
const begins = made.indexOf("-----BEGIN CERTIFICATE-----");

/** A certificate. */
export const PEM: string = made.slice(begins);
/** Its private key. */
export const KEY: string = made.slice(0, begins);
/** Another certificate, of which nobody has the key. */
export const OTHER_PEM: string = `${rootCertificates[0]}\n`;
/** A key of no certificate here. */
export const OTHER_KEY: string = generateKeyPairSync("ed25519")
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();
/** A certificate that was not copied to its end. */
export const CUT_PEM: string = PEM.slice(0, 100);
