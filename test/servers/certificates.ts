// A certificate authority of our own for tests, with one certificate for a server on this machine and one for a client.
// Made by `openssl` in a temporary folder, good for a day; the server's one, if asked for, over for years.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Certificates {
  readonly authorityFile: string;
  readonly serverCertificateFile: string;
  readonly serverKeyFile: string;
  /** PEM texts. */
  readonly authority: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
  remove(): Promise<void>;
}

const run = promisify(execFile);
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const ONE_DAY = ["-days", "1"];

/** `openssl x509` of version 3.0 sets no end in the past; `openssl ca` does, and wants a file of settings for it. */
const LONG_OVER = ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"];
const SIGNING = `[ca]
default_ca = own
[own]
database = issued
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = names
[names]
commonName = supplied
`;

export interface CertificateOptions {
  /** The server's certificate ended years ago; all else about it is right. */
  readonly expired?: boolean;
  /** Whom the certificates are made out to, as openssl spells it; by default this machine. */
  readonly names?: string;
}

export async function makeCertificates(options: CertificateOptions = {}): Promise<Certificates> {
  const { expired = false, names = "DNS:localhost,IP:127.0.0.1" } = options;
  const folder = await mkdtemp(join(tmpdir(), "pannier-certificates-"));
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> => run("openssl", args, { cwd: folder });
  await openssl("req", "-x509", ...NEW_KEY, ...ONE_DAY, "-subj", "/CN=test", "-keyout", "ca.key", "-out", "ca.crt");
  await writeFile(at("names"), `subjectAltName=${names}\n`);
  for (const name of ["server", "client"]) {
    await openssl("req", ...NEW_KEY, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"];
    await openssl("x509", "-req", "-in", `${name}.csr`, ...signed, ...ONE_DAY, "-out", `${name}.crt`);
  }
  if (expired) {
    await writeFile(at("signing"), SIGNING);
    await writeFile(at("issued"), "");
    const signed = ["-cert", "ca.crt", "-keyfile", "ca.key", "-extfile", "names", ...LONG_OVER];
    await openssl(
      "ca",
      "-batch",
      "-notext",
      "-config",
      "signing",
      ...signed,
      "-in",
      "server.csr",
      "-out",
      "server.crt",
    );
  }
  return {
    authorityFile: at("ca.crt"),
    serverCertificateFile: at("server.crt"),
    serverKeyFile: at("server.key"),
    authority: await readFile(at("ca.crt"), "utf8"),
    clientCertificate: await readFile(at("client.crt"), "utf8"),
    clientKey: await readFile(at("client.key"), "utf8"),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
