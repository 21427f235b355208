// The manifest's fields: what is refused, what draws a warning.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { parseEndpoints } from "#sidecar/stores/etcd/endpoints.ts";
import { CUT_PEM, KEY, OTHER_KEY, PEM } from "#test/stores/pem.ts";
import { prepare } from "./fixture.ts";

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  const { faults } = prepare("v1", { endpoints: "etcd:2379", ...given });
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("the fields of state.etcd", () => {
  it("takes what Dapr's own page shows", () => {
    assert.deepEqual(faultsOf({ keyPrefixPath: "dapr", tlsEnable: "false", maxTxnOps: "128" }), []);
    assert.deepEqual(faultsOf({ tlsEnable: "true", ca: PEM, cert: PEM, key: KEY }), []);
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ endpoints: "" }, /^error endpoints: want a value: the field is required/],
    [{ endpoints: "a:2379,,b:2379" }, /^error endpoints: got "a:2379,,b:2379", want endpoints as in/],
    [{ endpoints: "a:0" }, /^error endpoints: .* a port from 1 to 65535/],
    [{ endpoints: "https://a:2379" }, /^error endpoints: .* tlsEnable: "true"/],
    [{ endpoints: "http://a:2379", tlsEnable: "true", ca: PEM }, /^error endpoints: .* without a scheme/],
    [{ endpoints: "user:s3cr3t@a:2379" }, /^error endpoints: want endpoints as in/],
    [{ endpoints: new Array(33).fill("a").join(",") }, /^error endpoints: .* at most 32/],
    [{ tlsEnable: "true" }, /^error ca: want the PEM text of an authority/],
    [{ tlsEnable: "true", ca: PEM, cert: PEM }, /^error cert: want cert and key together/],
    [{ tlsEnable: "true", ca: "s3cr3t" }, /^error ca: want the PEM text of a certificate/],
    [{ password: "s3cr3t" }, /^error username: want a user beside password/],
    [{ maxTxnOps: "0" }, /^error maxTxnOps: got "0", want a whole number from 1/],
  ];
  for (const [given, want] of refused) {
    it(`refuses ${JSON.stringify(given).slice(0, 60)}`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
      assert.doesNotMatch(faults.join(), /s3cr3t/);
    });
  }

  it("refuses a client certificate and a key that cannot be read, and shows neither", () => {
    assert.deepEqual(faultsOf({ tlsEnable: "true", ca: PEM, cert: "s3cr3t", key: "s3cr3t" }), [
      "error cert: want the PEM text of a certificate; it begins with -----BEGIN CERTIFICATE-----",
      "error key: want the PEM text of a private key without a password; it begins with -----BEGIN PRIVATE KEY-----",
    ]);
  });

  it("refuses a client certificate with another one's key, and one that is cut off", () => {
    assert.deepEqual(faultsOf({ tlsEnable: "true", ca: PEM, cert: PEM, key: OTHER_KEY }), [
      "error cert: want the certificate of the key in key; where there are several, the first has to be",
    ]);
    const [fault] = faultsOf({ tlsEnable: "true", ca: PEM, cert: PEM + CUT_PEM, key: KEY });
    assert.match(fault ?? "", /^error cert: want certificates that can be read: certificate 2 of 2 cannot be;/);
  });

  it("warns of certificates without TLS", () => {
    assert.deepEqual(faultsOf({ ca: "pem" }), ["warning ca: want nothing: tlsEnable is off"]);
  });

  it("warns of a user without a password", () => {
    const hint = "an empty one is sent; leave username out where etcd asks for none";
    assert.deepEqual(faultsOf({ username: "app" }), [`warning username: want a password beside it; ${hint}`]);
    assert.deepEqual(faultsOf({ username: "app", password: "s3cr3t" }), []);
  });

  it("completes ports, and keeps the order of the endpoints", () => {
    const endpoints = parseEndpoints(" etcd-0, http://10.0.0.7:12379/ ,[::1]:2380", false);
    assert.deepEqual(endpoints, [{ address: "etcd-0:2379" }, { address: "10.0.0.7:12379" }, { address: "[::1]:2380" }]);
  });
});
