// Whose certificate a node may show.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { PeerCertificate } from "node:tls";
import { parseHosts } from "#sidecar/stores/cassandra/hosts.ts";
import { identityFault } from "#sidecar/stores/cassandra/library.ts";
import { makeCertificates } from "#test/servers/certificates.ts";

describe("the certificate of a cassandra node", () => {
  let certificate: PeerCertificate;
  before(async () => {
    const certificates = await makeCertificates();
    // For localhost and 127.0.0.1.
    certificate = new X509Certificate(await readFile(certificates.serverCertificateFile)).toLegacyObject();
    await certificates.remove();
  });

  const isFor = (text: string, address: string): boolean => {
    const hosts = parseHosts(text, 9042);
    assert.ok(!("want" in hosts));
    return identityFault(hosts, address, certificate) === undefined;
  };

  it("may be for its address", () => assert.ok(isFor("elsewhere", "127.0.0.1")));
  it("may be for one of the names in hosts", () => assert.ok(isFor("elsewhere,localhost", "10.0.0.1")));
  it("may not be for another", () => assert.ok(!isFor("elsewhere", "10.0.0.1")));
});
