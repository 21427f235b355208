// The metadata fields of signing in by tokens: Microsoft Entra ID, or an OAuth token endpoint (dapr-state-stores.md 2a
// and 0.6). Knows no client library and asks nobody for a token.
import { type FieldTable, flag, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { pemFaults } from "#kit/pem.ts";
import { checkCloud, checkEntra, type EntraSettings, entraFields } from "../azure/entra-fields.ts";
import { certificateFault, keyFault } from "./client-assertion.ts";

export interface OidcSettings {
  readonly oidcTokenEndpoint: string;
  readonly oidcClientID: string;
  readonly oidcClientAssertionCert: string;
  readonly oidcClientAssertionKey: string;
  readonly oidcResource: string;
  readonly oidcAudience: string;
  readonly oidcKid: string;
  readonly oidcScopes: string;
  readonly oidcCACert: string;
}

export interface TokenSettings extends OidcSettings, EntraSettings {
  readonly useEntraID: boolean;
  readonly useOIDC: boolean;
}

const oidcFields: FieldTable<OidcSettings> = {
  oidcTokenEndpoint: text({
    fallback: "",
    doc: "OIDC: URL of the token endpoint; needed with `useOIDC`. `http` draws a warning.",
  }),
  oidcClientID: text({ fallback: "", doc: "OIDC: the client; needed with `useOIDC`." }),
  oidcClientAssertionCert: text({
    fallback: "",
    doc: "OIDC: PEM text of the certificate of `oidcClientAssertionKey`; needed with `useOIDC`. It is compared with the key, and not sent.",
  }),
  oidcClientAssertionKey: text({
    fallback: "",
    secret: true,
    doc: "OIDC: PEM text of the RSA key that signs for the client, PKCS#1 or PKCS#8, without a password; needed with `useOIDC`. Better from a secret store.",
  }),
  oidcResource: text({ fallback: "", doc: "OIDC: sent as `resource`." }),
  oidcAudience: text({
    fallback: "",
    doc: "OIDC: audience of the assertion, sent as `audience` too. Without it the assertion is for the text of `oidcTokenEndpoint`.",
  }),
  oidcKid: text({ fallback: "", doc: "OIDC: id of the key, in the header of the assertion." }),
  oidcScopes: text({ fallback: "openid", doc: "OIDC: scopes, with commas between them." }),
  oidcCACert: text({
    fallback: "",
    doc: "OIDC: PEM text of authorities that are trusted at the endpoint, besides those that Node trusts.",
  }),
};

export const tokenFields: FieldTable<TokenSettings> = {
  useEntraID: flag({
    fallback: false,
    aliases: ["useAzureAD"],
    doc: "Sign in by a token of Microsoft Entra ID in place of user and password.",
  }),
  useOIDC: flag({ fallback: false, doc: "Sign in by a token of an OAuth token endpoint in place of a password." }),
  ...oidcFields,
  ...entraFields,
};

/** `oidcScopes` as a list: "openid" when it names none. */
export function scopesOf({ oidcScopes }: Pick<OidcSettings, "oidcScopes">): readonly string[] {
  const scopes = oidcScopes.split(",").map((scope) => scope.trim());
  const named = scopes.filter((scope) => scope !== "");
  return named.length === 0 ? [oidcFields.oidcScopes.fallback] : named;
}

const PAGE = "docs/stores/redis.md";
const NEEDED = ["oidcTokenEndpoint", "oidcClientID", "oidcClientAssertionCert", "oidcClientAssertionKey"] as const;

/** What these fields have to do with the others. */
interface Beside {
  readonly redisUsername: string;
  readonly redisPassword: string;
  readonly enableTLS: boolean;
}

/** What is wrong between these fields. */
export function checkTokens(settings: Readonly<TokenSettings & Beside>): readonly Fault[] {
  const { useEntraID, useOIDC } = settings;
  if (useEntraID && useOIDC) return [fault("error", "useOIDC", "either useEntraID or useOIDC")];
  return [
    ...(useEntraID ? checkSignInByEntra(settings) : idle(settings, entraFields, "useEntraID")),
    ...(useOIDC ? checkSignInByOidc(settings) : idle(settings, oidcFields, "useOIDC")),
    ...(useEntraID || useOIDC ? checkTransport(settings) : []),
  ];
}

function checkSignInByEntra(settings: Readonly<EntraSettings & Beside>): readonly Fault[] {
  const faults = [...checkCloud(settings, PAGE), ...checkEntra(settings, PAGE)];
  if (settings.redisUsername !== "")
    faults.push(fault("error", "redisUsername", "nothing beside useEntraID: the token names the user"));
  return faults;
}

function checkSignInByOidc(settings: Readonly<OidcSettings>): readonly Fault[] {
  const missing = NEEDED.filter((name) => settings[name] === "");
  const faults = missing.map((name) => fault("error", name, "a value: useOIDC needs it"));
  const { oidcTokenEndpoint, oidcClientAssertionKey: key, oidcClientAssertionCert: certificate, oidcCACert } = settings;
  if (oidcTokenEndpoint !== "") faults.push(...checkEndpoint(oidcTokenEndpoint));
  const wrongKey = key === "" ? null : keyFault(key);
  if (wrongKey !== null) faults.push(fault("error", "oidcClientAssertionKey", wrongKey));
  const wrongCertificate = certificate === "" || wrongKey !== null ? null : certificateFault(certificate, key);
  if (wrongCertificate !== null) faults.push(fault("error", "oidcClientAssertionCert", wrongCertificate));
  return [...faults, ...pemFaults({ certificates: { oidcCACert } })];
}

/** The text is not shown: URLs hold passwords. */
function checkEndpoint(endpoint: string): readonly Fault[] {
  const url = URL.parse(endpoint);
  if (url === null || !["https:", "http:"].includes(url.protocol) || `${url.username}${url.password}` !== "")
    return [fault("error", "oidcTokenEndpoint", 'a URL as in "https://login.example.com/token", without a user')];
  if (url.protocol === "https:") return [];
  return [fault("warning", "oidcTokenEndpoint", "https: over http anybody on the way reads the token")];
}

function checkTransport({ redisPassword, enableTLS }: Readonly<Beside>): readonly Fault[] {
  const faults: Fault[] = [];
  if (redisPassword !== "") faults.push(fault("error", "redisPassword", "nothing: the token is the password"));
  if (!enableTLS) faults.push(fault("warning", "enableTLS", '"true": without TLS anybody on the way reads the token'));
  return faults;
}

/** A warning for each field that counts only beside a switch that is off. */
function idle<S extends object>(settings: Readonly<S>, fields: FieldTable<S>, name: string): readonly Fault[] {
  const given = Object.keys(fields).filter((each) => settings[each as keyof S] !== fields[each as keyof S].fallback);
  return given.map((field) => fault("warning", field, `nothing: it is for ${name}, which is off`));
}

function fault(severity: Fault["severity"], field: string, want: string): Fault {
  return { severity, field, got: null, want, hint: `see ${PAGE}` };
}
