// The PEM files that a connection string names, read when the store opens. Knows no connection.
import { isPair, readKey } from "#kit/pem.ts";
import { pemError, readCertificates, readPemFile } from "../sql/pem-files.ts";
import type { ServerPlan } from "./server-plan.ts";

/** The texts; null for a file that is not named. */
export interface TlsFiles {
  readonly root: string | null;
  readonly certificate: string | null;
  readonly key: string | null;
}

const NONE: TlsFiles = { root: null, certificate: null, key: null };

/** Rejects with a SqlError that names the file that cannot be read, and the parameter that names it. */
export async function readTlsFiles({ files, keyPassword, tls }: ServerPlan): Promise<TlsFiles> {
  // As with libpq and pgx, which do not look at files that no connection is made with.
  if (tls.every((level) => level === "none")) return NONE;
  const [root, certificate, key] = await Promise.all([
    // "system": libpq's word for the authorities that the system trusts, which are asked when no file is named.
    files.root === "system" ? null : certificatesOf("sslrootcert", files.root),
    certificatesOf("sslcert", files.certificate),
    keyOf(files.key, keyPassword),
  ]);
  if (certificate !== null && key !== null && !isPair(certificate, key, keyPassword))
    throw pemError(
      { setting: "sslcert", path: files.certificate },
      `is not the certificate of the key in ${files.key}`,
    );
  return { root, certificate, key };
}

async function certificatesOf(setting: string, path: string): Promise<string | null> {
  return path === "" ? null : readCertificates({ setting, path });
}

async function keyOf(path: string, password: string): Promise<string | null> {
  if (path === "") return null;
  const file = { setting: "sslkey", path };
  const text = await readPemFile(file);
  if (readKey(text, password) !== null) return text;
  throw pemError(file, "holds no private key, or sslpassword is not its password");
}
