// Certificates that are right, or wrong in one thing, each of an authority of its own, and a file that trusts all of them.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Certificates, makeCertificates } from "./certificates.ts";

export interface Authorities {
  readonly own: Certificates;
  readonly expired: Certificates;
  /** Made out to the names that were asked for, and not to this machine. */
  readonly elsewhere: Certificates;
  /** The path of the file that holds all three authorities. */
  readonly file: string;
  /** Where the file is; a test may put others beside it. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** `elsewhere` as in {@link makeCertificates}. */
export async function makeAuthorities(elsewhere = "DNS:elsewhere.test"): Promise<Authorities> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-authorities-"));
  const file = join(folder, "authorities.pem");
  const made = await Promise.all([
    makeCertificates(),
    makeCertificates({ expired: true }),
    makeCertificates({ names: elsewhere }),
  ]);
  await writeFile(file, made.map(({ authority }) => authority).join(""));
  const remove = async (): Promise<void> => {
    for (const certificates of made) await certificates.remove();
    await rm(folder, { recursive: true, force: true });
  };
  return { own: made[0], expired: made[1], elsewhere: made[2], file, folder, remove };
}
