// Who gives the tokens that are Redis's passwords, as Dapr asks for them (dapr-state-stores.md 2a): Microsoft Entra ID, or
// any OAuth token endpoint that takes private_key_jwt. Knows no link.
import { assert } from "#kit/assert.ts";
import type { Clock } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { cloudOf } from "../azure/clouds.ts";
import type { EntraSettings } from "../azure/entra-fields.ts";
import { entraTokens } from "../azure/entra-tokens.ts";
import { StoreError } from "../store.ts";
import { clientAssertion } from "./client-assertion.ts";
import { RedisError } from "./errors.ts";
import type { Token, TokenSource } from "./renewed-token.ts";
import { askForToken, endpointName } from "./token-endpoint.ts";
import { type OidcSettings, scopesOf } from "./token-fields.ts";

/** Of Azure's Redis in every cloud: Dapr asks for it whatever azureEnvironment says. */
const ENTRA_SCOPE = "https://redis.azure.com/.default";
const ENTRA_NAME = "Microsoft Entra ID";
const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** Nobody is asked yet. Rejects where the package is not installed, or no way to sign in is set up. */
export async function entraSource(settings: Readonly<EntraSettings>, clock: Clock): Promise<TokenSource> {
  const cloud = cloudOf(settings.azureEnvironment);
  assert(cloud !== null, "the cloud was checked with the fields");
  const tokens = await entraTokens(settings, { scope: ENTRA_SCOPE, cloud, clock });
  return {
    name: ENTRA_NAME,
    async next(signal) {
      const { token, endsAtMs } = await tokens.held(signal).catch(asRedisError);
      return { username: objectIdOf(token), password: token, endsAtMs };
    },
    refused(token: Token) {
      tokens.forget(token.password);
      return `the token of ${ENTRA_NAME}; the cache must give data access to the object id ${token.username}`;
    },
  };
}

/** Nobody is asked yet. The settings are without faults. */
export function oidcSource(
  settings: Readonly<OidcSettings & { readonly redisUsername: string }>,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): TokenSource {
  const endpoint = { url: new URL(settings.oidcTokenEndpoint), authorities: settings.oidcCACert, clock };
  const name = endpointName(endpoint);
  return {
    name,
    async next(signal) {
      const askedMs = clock.nowMs();
      const { text, lifeMs } = await askForToken(endpoint, formOf(settings, askedMs, random.uuid()), signal);
      return { username: settings.redisUsername, password: text, endsAtMs: askedMs + lifeMs };
    },
    refused: () => `the token of ${name}; check redisUsername, oidcScopes and oidcAudience`,
  };
}

function formOf(settings: Readonly<OidcSettings>, nowMs: number, id: string): URLSearchParams {
  const { oidcClientID, oidcAudience, oidcResource, oidcTokenEndpoint, oidcKid, oidcClientAssertionKey } = settings;
  const audience = oidcAudience === "" ? oidcTokenEndpoint : oidcAudience;
  const assertion = { clientId: oidcClientID, audience, keyId: oidcKid, key: oidcClientAssertionKey };
  const form = new URLSearchParams({
    grant_type: "client_credentials",
    client_id: oidcClientID,
    client_assertion_type: ASSERTION_TYPE,
    client_assertion: clientAssertion(assertion, nowMs, id),
    scope: scopesOf(settings).join(" "),
  });
  if (oidcAudience !== "") form.set("audience", oidcAudience);
  if (oidcResource !== "") form.set("resource", oidcResource);
  return form;
}

function asRedisError(error: unknown): never {
  throw error instanceof StoreError ? new RedisError(error.code, error.message) : error;
}

/** The claim `oid`, which Azure's Redis knows its users by. Who gave the token has just made it, and Redis verifies it. */
function objectIdOf(token: string): string {
  const [, claims = ""] = token.split(".");
  try {
    const { oid } = JSON.parse(Buffer.from(claims, "base64url").toString());
    if (typeof oid === "string" && oid !== "") return oid;
  } catch {
    // The parser's words quote the token; what is wrong with it is the same.
  }
  const text = `the token of ${ENTRA_NAME} names no object id (claim oid), which redis wants as the user`;
  throw new RedisError("unavailable", text);
}
