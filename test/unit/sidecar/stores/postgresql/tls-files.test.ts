// The PEM files of a connection string: what is wrong with them is told by parameter and path before anything connects.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "#test/servers/free-port.ts";
import { CUT_PEM, KEY, OTHER_KEY, OTHER_PEM, PEM } from "#test/stores/pem.ts";
import { openStore } from "./fixture.ts";

const PASSPHRASE = "s3cr3t";
const LOCKED = generateKeyPairSync("ed25519")
  .privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: PASSPHRASE })
  .toString();

describe("the PEM files of a PostgreSQL connection string", () => {
  let folder: string;
  let port: number;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-pem-"));
    // Nobody listens there: what comes after the files is that.
    port = await freePort();
    const files = {
      pem: PEM,
      otherPem: OTHER_PEM,
      cut: `${PEM}${CUT_PEM}\n${OTHER_PEM}`,
      key: KEY,
      otherKey: OTHER_KEY,
    };
    for (const [name, text] of Object.entries({ ...files, locked: LOCKED, none: "hunter2", empty: "" }))
      await writeFile(join(folder, name), text);
  });
  after(() => rm(folder, { recursive: true }));

  /** The message of an opening with these parameters, files by their names in the folder. */
  async function told(files: Readonly<Record<string, string>>, more = ""): Promise<string> {
    const parameters = Object.entries(files).map(([name, file]) => `${name}=${join(folder, file)}`);
    const text = ["sslmode=require", ...parameters, more].filter((each) => each !== "").join("&");
    const fields = { connectionString: `postgres://app@127.0.0.1:${port}/app?${text}` };
    const error = await openStore({ version: "v2", fields }).catch((each: unknown) => each);
    assert.ok(error instanceof Error && "code" in error && error.code === "unavailable", String(error));
    assert.doesNotMatch(error.message, /hunter2|s3cr3t/);
    return error.message.replace(`${folder}/`, "").replace(`${folder}/`, "");
  }

  const wrong: [files: Readonly<Record<string, string>>, more: string, message: string][] = [
    [{ sslrootcert: "none" }, "", "sslrootcert: none: holds no certificate"],
    [{ sslrootcert: "empty" }, "", "sslrootcert: empty: holds no certificate"],
    [{ sslrootcert: "cut" }, "", "sslrootcert: cut: certificate 2 of 3 cannot be read"],
    [{ sslcert: "none", sslkey: "key" }, "", "sslcert: none: holds no certificate"],
    [{ sslcert: "pem", sslkey: "none" }, "", "sslkey: none: holds no private key, or sslpassword is not its password"],
    [
      { sslcert: "pem", sslkey: "locked" },
      "",
      "sslkey: locked: holds no private key, or sslpassword is not its password",
    ],
    [
      { sslcert: "pem", sslkey: "locked" },
      "sslpassword=hunter2",
      "sslkey: locked: holds no private key, or sslpassword is not its password",
    ],
    [
      { sslcert: "pem", sslkey: "locked" },
      `sslpassword=${PASSPHRASE}`,
      "sslcert: pem: is not the certificate of the key in locked",
    ],
    [{ sslcert: "pem", sslkey: "otherKey" }, "", "sslcert: pem: is not the certificate of the key in otherKey"],
    [{ sslcert: "otherPem", sslkey: "key" }, "", "sslcert: otherPem: is not the certificate of the key in key"],
  ];
  for (const [files, more, message] of wrong)
    it(`are refused: ${message}`, async () => assert.equal(await told(files, more), message));

  it("are read where they are right, and not looked at where no TLS is spoken", async () => {
    const right = { sslrootcert: "pem", sslcert: "pem", sslkey: "key" };
    assert.match(await told(right), /ECONNREFUSED/);
    assert.match(await told(right, "sslpassword=needless"), /ECONNREFUSED/);
    assert.match(
      await told({ sslrootcert: "nowhere", sslcert: "none", sslkey: "none" }, "sslmode=disable"),
      /ECONNREFUSED/,
    );
  });
});
