// PEM texts of manifests: which are told as faults, and that nothing of them is shown.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { pemFaults } from "#kit/pem.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";

describe("the PEM texts of a manifest", () => {
  let made: Certificates;

  before(async () => {
    made = await makeCertificates();
  });

  it("have no fault when they can be read, several behind one another too", () => {
    const { authority, clientCertificate, clientKey } = made;
    const certificates = { ca: `${authority}\n${clientCertificate}`, cert: clientCertificate };
    assert.deepEqual(pemFaults({ certificates, keys: { key: clientKey } }), []);
  });

  it("have none when they are not given", () => {
    assert.deepEqual(pemFaults({ certificates: { ca: "" }, keys: { key: "" } }), []);
  });

  it("are told by their fields, and not shown, when they hold something else", () => {
    const { authority, clientKey } = made;
    const certificates = { ca: "hunter2", cert: clientKey };
    const keys = { key: authority, other: authority.replace("CERTIFICATE", "PRIVATE KEY") };
    assert.deepEqual(pemFaults({ certificates, keys }).map(describeFault), [
      "ca: want the PEM text of a certificate; it begins with -----BEGIN CERTIFICATE-----",
      "cert: want the PEM text of a certificate; it begins with -----BEGIN CERTIFICATE-----",
      "key: want the PEM text of a private key without a password; it begins with -----BEGIN PRIVATE KEY-----",
      "other: want the PEM text of a private key without a password; it begins with -----BEGIN PRIVATE KEY-----",
    ]);
  });
});
