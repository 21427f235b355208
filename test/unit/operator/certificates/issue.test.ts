import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { issueAuthority, issueBridge, issueLeaf } from "#operator/certificates/issue.ts";

const run = promisify(execFile);
const HOUR_MS = 3_600_000;
const validity = { fromMs: Date.now() - HOUR_MS, untilMs: Date.now() + HOUR_MS };

describe("certificates of our own make", () => {
  const [old, next] = [issueAuthority(validity), issueAuthority(validity)];
  const bridge = issueBridge(next.certificatePem, old, validity);
  const leaf = issueLeaf(["pannier-operator.ns.svc", "localhost"], next, validity);

  it("pass OpenSSL's strict reading, from either CA", async () => {
    await verify({ ca: next.certificatePem, between: "", leaf: leaf.certificatePem });
    await verify({ ca: old.certificatePem, between: bridge, leaf: leaf.certificatePem });
  });

  it("lead nowhere from a CA that has signed neither leaf nor bridge", async () => {
    const other = issueAuthority(validity).certificatePem;
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

  it("never share a name, a key or a serial number between CAs", () => {
    const [left, right] = [new X509Certificate(old.certificatePem), new X509Certificate(next.certificatePem)];
    assert.notEqual(left.subject, right.subject);
    assert.notEqual(left.serialNumber, right.serialNumber);
    assert.equal(new X509Certificate(bridge).subject, right.subject);
    assert.equal(new X509Certificate(bridge).issuer, left.subject);
  });

  it("hold to the second from and until when they are good, before and after 2050", () => {
    for (const from of ["1999-12-31T23:59:58.000Z", "2049-12-31T23:59:59.000Z", "2050-01-01T00:00:00.000Z"]) {
      const fromMs = Date.parse(from);
      const made = new X509Certificate(issueAuthority({ fromMs, untilMs: fromMs + 86_400_000 }).certificatePem);
      assert.equal(made.validFromDate.toISOString(), from);
      assert.equal(made.validToDate.getTime(), fromMs + 86_400_000);
    }
  });

  it("can carry more names than a short length has room for", () => {
    const names = Array.from({ length: 300 }, (_, index) => `name-${index}.example.svc.cluster.local`);
    const { certificatePem } = issueLeaf(names, next, validity);
    assert.equal(new X509Certificate(certificatePem).subjectAltName?.split(", ").length, 300);
  });
});

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
