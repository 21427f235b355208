// Who a driver is for Azure: a token of Entra ID for one service, kept until shortly before it ends. Alone knows
// @azure/identity, and loads it only when somebody signs in: with a key of the account nobody does. Knows no service.
import type { AccessToken, TokenCredential } from "@azure/identity";
import { type Clock, never, sleep } from "#kit/clock.ts";
import { unlessLeft } from "#kit/leaving.ts";
import { loading } from "../packages.ts";
import { StoreError } from "../store.ts";
import type { AzureCloud } from "./clouds.ts";
import { type EntraMethod, type EntraSettings, entraMethods } from "./entra-fields.ts";
import { machineCredential } from "./machine-identity.ts";

export interface Tokens {
  /** A token that is good now. Rejects with a StoreError, whose text holds no secret. */
  current(): Promise<string>;
  /** The service has refused it: the next one is a new one. */
  forget(token: string): void;
}

export interface EntraTokens extends Tokens {
  /**
   * The same as `current()`, and when the token ends, by the wall clock: for who has to know it beforehand. The sign-in that
   * it begins ends when `signal` aborts, for all who wait for it: they get `closed`.
   */
  held(signal: AbortSignal): Promise<{ readonly token: string; readonly endsAtMs: number }>;
}

export interface EntraOptions {
  /** What the token is for: "https://storage.azure.com/.default". */
  readonly scope: string;
  readonly cloud: AzureCloud;
  readonly clock: Clock;
}

type Library = typeof import("@azure/identity");

/** A token is renewed so long before it ends. */
const EARLY_MS = 300_000;
/** Longest that one sign-in takes, over all ways that are tried. Within the usual initTimeout, which names nobody. */
const SIGN_IN_MS = 4_000;
/** Longest that a managed identity is waited for where another way comes behind it: outside of Azure nobody answers. */
const MACHINE_MS = 2_000;

/** Ready to sign in by the ways that the settings mean; nobody is asked yet. Rejects where the package is not installed. */
export async function entraTokens(settings: Readonly<EntraSettings>, options: EntraOptions): Promise<EntraTokens> {
  const library = await loading(() => import("@azure/identity"));
  const methods = entraMethods(settings) ?? [];
  const credentials = methods.flatMap((method, index) => {
    const made = credentialOf(library, method, { settings, cloud: options.cloud });
    if (made === null) return [];
    const isLast = index === methods.length - 1;
    return [method === "managed-identity" && !isLast ? passedOver(library, made, options.clock) : made];
  });
  if (credentials.length === 0)
    throw new StoreError(
      "unavailable",
      "Entra ID: none of the ways to sign in that azureAuthMethods names is set up here",
    );
  return new KeptToken(new library.ChainedTokenCredential(...credentials), options);
}

/** Null for a way that the environment is not set up for. */
function credentialOf(
  library: Library,
  method: EntraMethod,
  { settings, cloud }: { readonly settings: Readonly<EntraSettings>; readonly cloud: AzureCloud },
): TokenCredential | null {
  const { azureTenantId: tenant, azureClientId: client } = settings;
  const { authorityHost } = cloud;
  switch (method) {
    case "secret":
      return new library.ClientSecretCredential(tenant, client, settings.azureClientSecret, { authorityHost });
    case "certificate": {
      const { azureCertificate: certificate, azureCertificateFile: certificatePath } = settings;
      const password = settings.azureCertificatePassword;
      const protection = password === "" ? {} : { certificatePassword: password };
      return certificate === ""
        ? new library.ClientCertificateCredential(tenant, client, { certificatePath, ...protection }, { authorityHost })
        : new library.ClientCertificateCredential(tenant, client, { certificate, ...protection }, { authorityHost });
    }
    case "workload-identity":
      try {
        return new library.WorkloadIdentityCredential({ authorityHost });
      } catch {
        // Its webhook has put no variables into this pod: the library says so by throwing.
        return null;
      }
    case "managed-identity":
      return machineCredential(library, client);
    case "command-line":
      return new library.AzureCliCredential();
  }
}

/** The same credential, given up in time for the chain to try the next one. */
function passedOver(library: Library, credential: TokenCredential, clock: Clock): TokenCredential {
  return {
    getToken: (scopes, given) => {
      const over = new AbortController();
      const leave = (): void => over.abort();
      given?.abortSignal?.addEventListener("abort", leave);
      const late = sleep(clock, MACHINE_MS, over.signal).then((isLate) => {
        if (isLate) throw new library.CredentialUnavailableError("the machine's identity was not told in time");
        // Nobody waits for the next way either.
        throw new Error("left");
      });
      return Promise.race([credential.getToken(scopes, { ...given, abortSignal: over.signal }), late]).finally(() => {
        given?.abortSignal?.removeEventListener("abort", leave);
        leave();
      });
    },
  };
}

class KeptToken implements EntraTokens {
  readonly #credential: TokenCredential;
  readonly #options: EntraOptions;
  #token: AccessToken | null = null;
  /** One sign-in for all that wait for it. */
  #signingIn: Promise<AccessToken> | null = null;

  constructor(credential: TokenCredential, options: EntraOptions) {
    this.#credential = credential;
    this.#options = options;
  }

  async current(): Promise<string> {
    return (await this.#good(never)).token;
  }

  async held(signal: AbortSignal): Promise<{ readonly token: string; readonly endsAtMs: number }> {
    const { token, expiresOnTimestamp } = await this.#good(signal);
    return { token, endsAtMs: expiresOnTimestamp };
  }

  forget(token: string): void {
    if (this.#token?.token === token) this.#token = null;
  }

  #good(signal: AbortSignal): Promise<AccessToken> {
    const kept = this.#token;
    if (kept !== null && kept.expiresOnTimestamp - EARLY_MS > this.#options.clock.nowMs()) return Promise.resolve(kept);
    this.#signingIn ??= this.#signIn(signal).finally(() => {
      this.#signingIn = null;
    });
    return this.#signingIn;
  }

  async #signIn(leaving: AbortSignal): Promise<AccessToken> {
    const { scope, clock } = this.#options;
    const limit = new AbortController();
    const timer = clock.after(SIGN_IN_MS, () => limit.abort());
    const over = AbortSignal.any([leaving, limit.signal]);
    try {
      const asked = this.#credential.getToken(scope, { abortSignal: over });
      // Not all of the library's ways look at the signal that they are given: asking a machine for its identity can hang.
      const token = await unlessLeft(asked, over, () => leftError(leaving));
      if (token === null) throw new StoreError("unavailable", "Entra ID gave no token");
      this.#token = token;
      return token;
    } catch (error) {
      throw over.aborted ? leftError(leaving) : signInError(error);
    } finally {
      timer.cancel();
    }
  }
}

function leftError(leaving: AbortSignal): StoreError {
  if (leaving.aborted) return new StoreError("closed", "the store was closed");
  return new StoreError("unavailable", `Entra ID gave no token within ${SIGN_IN_MS / 1000} s`);
}

const AADSTS = /AADSTS\d+/;

/** Of the library's words only Entra ID's own number of the reason: the rest is long, and may name what is nobody's business. */
function signInError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const text = error instanceof Error ? error.message : "";
  const reason = AADSTS.exec(text)?.[0] ?? (error instanceof Error ? error.name : "for no reason that is known");
  return new StoreError("unavailable", `cannot sign in at Entra ID (${reason}); see the fields that begin with azure`);
}
