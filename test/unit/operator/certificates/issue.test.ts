import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { issueAuthority, issueBridge, issueLeaf } from "#operator/certificates/issue.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const HOUR_MS = 3_600_000;
const validity = { fromMs: Date.now() - HOUR_MS, untilMs: Date.now() + HOUR_MS };

const [old, next] = [await issueAuthority(validity), await issueAuthority(validity)];
const bridge = await issueBridge(next.certificatePem, old, validity);
const leaf = await issueLeaf(["pannier-operator.ns.svc", "localhost"], next, validity);

describe("certificates of our own make", () => {
  it("pass OpenSSL's strict reading, from either CA", async () => {
    await verify({ ca: next.certificatePem, between: "", leaf: leaf.certificatePem });
    await verify({ ca: old.certificatePem, between: bridge, leaf: leaf.certificatePem });
  });

  it("lead nowhere from a CA that has signed neither leaf nor bridge", async () => {
    const { certificatePem: other } = await issueAuthority(validity);
    await assert.rejects(verify({ ca: other, between: bridge, leaf: leaf.certificatePem }), /unable to get/);
    await assert.rejects(verify({ ca: old.certificatePem, between: "", leaf: leaf.certificatePem }), /unable to get/);
  });

  it("are for their names and no others, and for servers only", async () => {
    const certificate = new X509Certificate(leaf.certificatePem);
    assert.equal(certificate.subjectAltName, "DNS:pannier-operator.ns.svc, DNS:localhost");
    assert.equal(certificate.checkHost("pannier-operator.other.svc"), undefined);
    assert.deepEqual([...(certificate.keyUsage ?? [])], ["1.3.6.1.5.5.7.3.1"]);
    assert.equal(certificate.ca, false);
    assert.equal(new X509Certificate(bridge).ca, true);
  });

  it("have these extensions and no others, and the identifiers of their keys", async () => {
    const [oldId, nextId, leafId] = [old, next, leaf].map(({ certificatePem }) => keyIdOf(certificatePem));
    const ofAuthority = {
      "Basic Constraints: critical": "CA:TRUE",
      "Key Usage: critical": "Certificate Sign, CRL Sign",
    };
    assert.deepEqual(await extensionsOf(next.certificatePem), {
      ...ofAuthority,
      "Subject Key Identifier:": nextId,
      "Authority Key Identifier:": nextId,
    });
    assert.deepEqual(await extensionsOf(bridge), {
      ...ofAuthority,
      "Subject Key Identifier:": nextId,
      "Authority Key Identifier:": oldId,
    });
    assert.deepEqual(await extensionsOf(leaf.certificatePem), {
      "Basic Constraints: critical": "CA:FALSE",
      "Key Usage: critical": "Digital Signature",
      "Extended Key Usage:": "TLS Web Server Authentication",
      "Subject Alternative Name:": "DNS:pannier-operator.ns.svc, DNS:localhost",
      "Subject Key Identifier:": leafId,
      "Authority Key Identifier:": nextId,
    });
  });

  it("repeat the names of CAs byte for byte, as Go compares them", () => {
    const named = (pem: string, by: string): boolean => {
      const name = Buffer.from(new X509Certificate(by).subject.replace("CN=", ""));
      const asUtf8String = Buffer.concat([Buffer.of(0x0c, name.length), name]);
      return new X509Certificate(pem).raw.includes(asUtf8String);
    };
    assert.equal(named(leaf.certificatePem, next.certificatePem), true);
    assert.equal(named(bridge, next.certificatePem), true);
    assert.equal(named(bridge, old.certificatePem), true);
    assert.equal(named(leaf.certificatePem, old.certificatePem), false);
  });

  it("are refused at once where the key is not that of the CA", async () => {
    const mixed = { certificatePem: old.certificatePem, keyPem: next.keyPem };
    await assert.rejects(issueLeaf(["localhost"], mixed, validity), /does not fit its issuer/);
    await assert.rejects(issueBridge(next.certificatePem, mixed, validity), /does not fit its issuer/);
  });

  it("cost their library only when the first one is made", async () => {
    const code = `
      const isLoaded = () => "getMetadata" in Reflect;
      await import("#operator/certificates.ts");
      const before = isLoaded();
      const { issueAuthority } = await import("#operator/certificates/issue.ts");
      await issueAuthority({ fromMs: 0, untilMs: 1000 });
      process.stdout.write(before + " " + isLoaded());`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", code], { cwd: ROOT });
    assert.equal(stdout, "false true");
  });

  it("never share a name, a key or a serial number between CAs", () => {
    const [left, right] = [new X509Certificate(old.certificatePem), new X509Certificate(next.certificatePem)];
    assert.notEqual(left.subject, right.subject);
    assert.notEqual(left.serialNumber, right.serialNumber);
    assert.equal(new X509Certificate(bridge).subject, right.subject);
    assert.equal(new X509Certificate(bridge).issuer, left.subject);
  });

  it("hold to the second from and until when they are good, before and after 2050", async () => {
    for (const from of ["1999-12-31T23:59:58.000Z", "2049-12-31T23:59:59.000Z", "2050-01-01T00:00:00.000Z"]) {
      const fromMs = Date.parse(from);
      const { certificatePem } = await issueAuthority({ fromMs, untilMs: fromMs + 86_400_000 });
      const made = new X509Certificate(certificatePem);
      assert.equal(made.validFromDate.toISOString(), from);
      assert.equal(made.validToDate.getTime(), fromMs + 86_400_000);
    }
  });

  it("can carry more names than a short length has room for", async () => {
    const names = Array.from({ length: 300 }, (_, index) => `name-${index}.example.svc.cluster.local`);
    const { certificatePem } = await issueLeaf(names, next, validity);
    assert.equal(new X509Certificate(certificatePem).subjectAltName?.split(", ").length, 300);
  });
});

/** What OpenSSL prints of each extension, by what it prints before it. */
async function extensionsOf(pem: string): Promise<Readonly<Record<string, string>>> {
  const printing = run("openssl", ["x509", "-noout", "-text", "-certopt", "no_header,no_pubkey,no_sigdump"]);
  printing.child.stdin?.end(pem);
  const [, printed = ""] = (await printing).stdout.split("X509v3 extensions:\n");
  const lines = printed.split("\n").map((line) => line.trim().replace("X509v3 ", ""));
  const pairs = lines.flatMap((line, index) =>
    index % 2 === 0 && line !== "" ? [[line, lines[index + 1] ?? ""]] : [],
  );
  return Object.fromEntries(pairs);
}

/** 160 bits of the SHA-256 of the point: a byte that says uncompressed, then x and y. */
function keyIdOf(pem: string): string {
  const { x = "", y = "" } = new X509Certificate(pem).publicKey.export({ format: "jwk" });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  const digits = createHash("sha256").update(point).digest("hex").slice(0, 40).toUpperCase();
  return digits.match(/../g)?.join(":") ?? "";
}

async function verify(pems: { readonly ca: string; readonly between: string; readonly leaf: string }): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-issue-"));
  try {
    for (const [name, pem] of Object.entries(pems)) await writeFile(join(folder, name), pem);
    const between = pems.between === "" ? [] : ["-untrusted", "between"];
    await run("openssl", ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca", ...between, "leaf"], {
      cwd: folder,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
