// PEM texts that can be read and open nothing: for the fields of manifests, where no server is asked.
import { generateKeyPairSync } from "node:crypto";
import { rootCertificates } from "node:tls";

/** A certificate. */
export const PEM: string = rootCertificates[0] ?? "";
/** A private key, not that of the certificate. */
export const KEY: string = generateKeyPairSync("ed25519")
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();
