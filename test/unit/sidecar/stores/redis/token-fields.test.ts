// The fields of signing in by tokens: what is refused, what has no effect, and that no secret is shown.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describeFault } from "#kit/fault.ts";
import { driver } from "#sidecar/stores/redis/redis.ts";
import { scopesOf } from "#sidecar/stores/redis/token-fields.ts";
import { type AssertionKey, makeAssertionKey } from "#test/servers/token-endpoint.ts";

type Given = Readonly<Record<string, string>>;

function faultsOf(given: Given): string[] {
  const all = Object.entries({ redisHost: "redis", enableTLS: "true", ...given });
  const { faults } = driver.decode(
    all.map(([name, value]) => ({ name, value, secret: false })),
    [],
  );
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("the fields of signing in by tokens at Redis", () => {
  let own: AssertionKey;
  let other: AssertionKey;
  let oidc: Given;

  before(async function () {
    this.timeout(120_000);
    [own, other] = await Promise.all([makeAssertionKey(), makeAssertionKey()]);
    oidc = {
      useOIDC: "true",
      oidcTokenEndpoint: "https://login.example.com/token",
      oidcClientID: "orders",
      oidcClientAssertionCert: own.certificate,
      oidcClientAssertionKey: own.key,
    };
  });

  const entra = { useEntraID: "true", azureClientId: "app" };

  it("are enough with a switch and what it needs", () => {
    const optional = { oidcCACert: own.certificate, oidcKid: "k", oidcAudience: "a", oidcResource: "r" };
    assert.deepEqual(faultsOf(oidc), []);
    assert.deepEqual(faultsOf({ ...oidc, ...optional, redisUsername: "app", oidcScopes: "a,b" }), []);
    assert.deepEqual(faultsOf(entra), []);
    assert.deepEqual(faultsOf({ useAzureAD: "true", tenantId: "t", clientId: "c", clientSecret: "s" }), []);
  });

  const wrong: [what: string, given: () => Given, want: RegExp][] = [
    ["both at once", () => ({ ...oidc, ...entra }), /^error useOIDC: want either useEntraID or useOIDC/],
    ["a password beside OIDC", () => ({ ...oidc, redisPassword: "p" }), /^error redisPassword: want nothing/],
    ["a password beside Entra ID", () => ({ ...entra, redisPassword: "p" }), /^error redisPassword: want nothing/],
    ["a user beside Entra ID", () => ({ ...entra, redisUsername: "u" }), /^error redisUsername: want nothing/],
    ["a cloud that is none", () => ({ ...entra, azureEnvironment: "Moon" }), /^error azureEnvironment: got "Moon"/],
    ["a way to sign in that is none", () => ({ ...entra, azureAuthMethods: "knock" }), /^error azureAuthMethods/],
    ["no endpoint", () => ({ ...oidc, oidcTokenEndpoint: "" }), /^error oidcTokenEndpoint: want a value/],
    ["no client", () => ({ ...oidc, oidcClientID: "" }), /^error oidcClientID: want a value/],
    [
      "no certificate",
      () => ({ ...oidc, oidcClientAssertionCert: "" }),
      /^error oidcClientAssertionCert: want a value/,
    ],
    ["no key", () => ({ ...oidc, oidcClientAssertionKey: "" }), /^error oidcClientAssertionKey: want a value/],
    [
      "an endpoint without https or http",
      () => ({ ...oidc, oidcTokenEndpoint: "ftp://s3cr3t/" }),
      /^error oidcTokenEndpoint: want a URL/,
    ],
    [
      "an endpoint that is no URL",
      () => ({ ...oidc, oidcTokenEndpoint: "s3cr3t" }),
      /^error oidcTokenEndpoint: want a URL/,
    ],
    [
      "an endpoint with a password",
      () => ({ ...oidc, oidcTokenEndpoint: "https://u:s3cr3t@h/t" }),
      /^error oidcTokenEndpoint: want a URL/,
    ],
    [
      "a key that is none",
      () => ({ ...oidc, oidcClientAssertionKey: "s3cr3t" }),
      /^error oidcClientAssertionKey: want PEM text of an RSA private key/,
    ],
    [
      "a key of another kind",
      () => ({ ...oidc, oidcClientAssertionKey: ellipticKey() }),
      /^error oidcClientAssertionKey: want PEM text of an RSA/,
    ],
    [
      "a certificate that is none",
      () => ({ ...oidc, oidcClientAssertionCert: "s3cr3t" }),
      /^error oidcClientAssertionCert: want PEM text of a certificate/,
    ],
    [
      "the certificate of another key",
      () => ({ ...oidc, oidcClientAssertionCert: other.certificate }),
      /^error oidcClientAssertionCert: want the certificate of the key in oidcClientAssertionKey/,
    ],
    [
      "an authority that is none",
      () => ({ ...oidc, oidcCACert: "s3cr3t" }),
      /^error oidcCACert: want the PEM text of a certificate;/,
    ],
    [
      "an endpoint over http",
      () => ({ ...oidc, oidcTokenEndpoint: "http://login/t" }),
      /^warning oidcTokenEndpoint: want https/,
    ],
    ["OIDC without TLS", () => ({ ...oidc, enableTLS: "false" }), /^warning enableTLS: want "true": without TLS/],
    ["Entra ID without TLS", () => ({ ...entra, enableTLS: "false" }), /^warning enableTLS: want "true": without TLS/],
    [
      "a field of OIDC without it",
      () => ({ oidcClientID: "c" }),
      /^warning oidcClientID: want nothing: it is for useOIDC/,
    ],
    ["scopes without OIDC", () => ({ oidcScopes: "a" }), /^warning oidcScopes: want nothing: it is for useOIDC/],
    [
      "a field of Entra ID without it",
      () => ({ azureTenantId: "t" }),
      /^warning azureTenantId: want nothing: it is for useEntraID/,
    ],
    [
      "a field of OIDC beside Entra ID",
      () => ({ ...entra, oidcKid: "k" }),
      /^warning oidcKid: want nothing: it is for useOIDC/,
    ],
  ];
  for (const [what, given, want] of wrong)
    it(`draw a fault for ${what}`, () => {
      const faults = faultsOf(given());
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
      assert.doesNotMatch(faults[0] ?? "", /s3cr3t|MII/);
    });

  it("name several scopes by commas, and the scope openid when they name none", () => {
    assert.deepEqual(scopesOf({ oidcScopes: " a ,b,," }), ["a", "b"]);
    assert.deepEqual(scopesOf({ oidcScopes: "" }), ["openid"]);
  });
});

function ellipticKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}
