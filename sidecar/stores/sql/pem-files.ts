// PEM files that a setting names, read and looked at when the store opens: what a connection would say of them later names
// neither the setting nor the file. Knows no connection and no product.
import { readFile } from "node:fs/promises";
import { unreadCertificate } from "#kit/pem.ts";
import { SqlError } from "./failure.ts";

export interface PemFile {
  /** As messages name it: "sslrootcert". */
  readonly setting: string;
  readonly path: string;
}

/** The text of a file, which may hold anything. Rejects with a SqlError that names setting and path. */
export async function readPemFile({ setting, path }: PemFile): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "it cannot be read";
    throw new SqlError("unavailable", `${setting}: ${path}: ${why}; give the path of a PEM file that can be read`);
  }
}

/** The text of a file of certificates, each of which can be read. */
export async function readCertificates(file: PemFile): Promise<string> {
  const text = await readPemFile(file);
  const unread = unreadCertificate(text);
  if (unread === null) return text;
  const { place, of } = unread;
  throw pemError(file, of === 0 ? "holds no certificate" : `certificate ${place} of ${of} cannot be read`);
}

/** `fault`: what the file holds or lacks; never a part of it. */
export function pemError({ setting, path }: PemFile, fault: string): SqlError {
  return new SqlError("unavailable", `${setting}: ${path}: ${fault}`);
}
