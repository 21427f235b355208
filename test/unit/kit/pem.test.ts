// PEM texts of manifests: which are told as faults, and that nothing of them is shown.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describeFault } from "#kit/fault.ts";
import { isPair, type PemTexts, pemFaults, readKey, unreadCertificate } from "#kit/pem.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { CUT_PEM, KEY, OTHER_KEY, OTHER_PEM, PEM } from "#test/stores/pem.ts";

const GARBLED = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

describe("the PEM texts of a manifest", () => {
  let made: Certificates;

  before(async () => {
    made = await makeCertificates();
  });

  const told = (texts: PemTexts): string[] => pemFaults(texts).map(describeFault);

  it("have no fault when they can be read, several behind one another too", () => {
    const { authority, clientCertificate, clientKey } = made;
    const certificates = { ca: `${authority}\n${clientCertificate}`, cert: clientCertificate + authority };
    assert.deepEqual(pemFaults({ certificates, keys: { key: clientKey }, pair: ["cert", "key"] }), []);
  });

  it("have none when they are not given", () => {
    assert.deepEqual(pemFaults({ certificates: { ca: "" }, keys: { key: "" }, pair: ["ca", "key"] }), []);
  });

  it("are told by their fields, and not shown, when they hold something else", () => {
    const { authority, clientKey } = made;
    const certificates = { ca: "hunter2", cert: clientKey };
    const keys = { key: authority, other: authority.replace("CERTIFICATE", "PRIVATE KEY") };
    assert.deepEqual(told({ certificates, keys }), [
      "ca: want the PEM text of a certificate; it begins with -----BEGIN CERTIFICATE-----",
      "cert: want the PEM text of a certificate; it begins with -----BEGIN CERTIFICATE-----",
      "key: want the PEM text of a private key without a password; it begins with -----BEGIN PRIVATE KEY-----",
      "other: want the PEM text of a private key without a password; it begins with -----BEGIN PRIVATE KEY-----",
    ]);
  });

  it("are told with the place of the certificate that cannot be read", () => {
    const cannot = (which: string): string =>
      `ca: want certificates that can be read: certificate ${which} cannot be; copy it whole, from the line that begins it to the line that ends it`;
    for (const [ca, which] of [
      [GARBLED, "1 of 1"],
      [CUT_PEM, "1 of 1"],
      [GARBLED + PEM, "1 of 2"],
      [PEM + CUT_PEM, "2 of 2"],
      [`${PEM}${CUT_PEM}\n${OTHER_PEM}`, "2 of 3"],
    ] as const)
      assert.deepEqual(told({ certificates: { ca } }), [cannot(which)]);
  });

  it("are told when certificate and key are not of each other", () => {
    const pair = ["cert", "key"] as const;
    const fault = "cert: want the certificate of the key in key; where there are several, the first has to be";
    for (const [cert, key] of [
      [PEM, OTHER_KEY],
      [OTHER_PEM, KEY],
      [OTHER_PEM + PEM, KEY],
    ] as const)
      assert.deepEqual(told({ certificates: { cert }, keys: { key }, pair }), [fault]);
    assert.deepEqual(told({ certificates: { cert: PEM + OTHER_PEM }, keys: { key: KEY }, pair }), []);
    assert.deepEqual(told({ certificates: { cert: PEM }, keys: { key: "" }, pair }), []);
  });
});

describe("a PEM text of certificates", () => {
  for (const [what, text] of [
    ["lines that end as on Windows", PEM.replaceAll("\n", "\r\n")],
    ["text before it", `subject=CN = a\n${PEM}`],
    ["a key before it", KEY + PEM],
    ["a key behind it", PEM + KEY],
    ["OpenSSL's older label", PEM.replaceAll("CERTIFICATE", "X509 CERTIFICATE")],
    ["no end of line at its end", `${OTHER_PEM.trim()}\n${PEM.trim()}`],
  ] as const)
    it(`can be read with ${what}`, () => assert.equal(unreadCertificate(text), null));

  it("is none where no line begins one", () => {
    for (const text of ["", KEY, `  ${PEM}`]) assert.deepEqual(unreadCertificate(text), { place: 0, of: 0 });
  });
});

describe("a PEM text of a key", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const elliptic = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const locked = { cipher: "aes-256-cbc", passphrase: "s3cr3t" } as const;

  it("can be read in each of its forms", () => {
    for (const key of [
      rsa.export({ type: "pkcs1", format: "pem" }),
      rsa.export({ type: "pkcs8", format: "pem" }),
      elliptic.export({ type: "sec1", format: "pem" }),
      `Bag Attributes\n  friendlyName: x\n${elliptic.export({ type: "pkcs8", format: "pem" })}`,
      KEY,
      KEY.replaceAll("\n", "\r\n"),
      PEM + KEY,
    ])
      assert.ok(readKey(String(key)) !== null, String(key).slice(0, 40));
  });

  it("can be read with its password alone, where it has one", () => {
    const key = rsa.export({ type: "pkcs8", format: "pem", ...locked }).toString();
    assert.ok(readKey(key, "s3cr3t") !== null);
    for (const password of ["", "other"]) assert.equal(readKey(key, password), null);
    assert.ok(readKey(KEY, "s3cr3t") !== null);
  });

  it("is of a certificate or not", () => {
    assert.deepEqual(
      [isPair(PEM, KEY), isPair(PEM, OTHER_KEY), isPair(PEM, "none"), isPair("none", KEY)],
      [true, false, false, false],
    );
  });
});
