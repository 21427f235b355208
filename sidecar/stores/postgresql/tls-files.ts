// The PEM files that a connection string names, read when the store opens. Knows no connection.
import { readFile } from "node:fs/promises";
import { SqlError } from "../sql/failure.ts";
import type { ServerPlan } from "./server-plan.ts";

/** The texts; null for a file that is not named. */
export interface TlsFiles {
  readonly root: string | null;
  readonly certificate: string | null;
  readonly key: string | null;
}

/** Rejects with a SqlError that names the file that cannot be read. */
export async function readTlsFiles({ files }: ServerPlan): Promise<TlsFiles> {
  const [root, certificate, key] = await Promise.all([
    read("sslrootcert", files.root),
    read("sslcert", files.certificate),
    read("sslkey", files.key),
  ]);
  return { root, certificate, key };
}

async function read(name: string, path: string): Promise<string | null> {
  // "system": libpq's word for the authorities that the system trusts, which are asked when no file is named.
  if (path === "" || path === "system") return null;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "it cannot be read";
    throw new SqlError("unavailable", `${name}: ${path}: ${why}; give the path of a PEM file that can be read`);
  }
}
