// Who a driver is for Google: the headers that say so with each call. Alone knows google-auth-library, and loads it only
// when somebody signs in: an emulator never needs it. Knows no service.
import { loading } from "../packages.ts";
import { StoreError } from "../store.ts";
import { signInError } from "./failures.ts";
import type { ServiceAccount } from "./fields.ts";

export interface Credentials {
  /** Names and values of the headers of one call. Rejects with a StoreError, whose text holds no secret. */
  headers(): Promise<Iterable<readonly [string, string]>>;
}

const SCOPES = ["https://www.googleapis.com/auth/cloud-platform"];

type Library = typeof import("google-auth-library");

/**
 * Signs in as the service account, which asks nobody for a token and signs its own; or, without one, as what the
 * environment gives: the file that GOOGLE_APPLICATION_CREDENTIALS names, gcloud's, the metadata server's. Rejects where
 * the package is not installed.
 */
export async function openCredentials(account: ServiceAccount | null): Promise<Credentials> {
  const library = await loading(() => import("google-auth-library"));
  const client = account === null ? new library.GoogleAuth({ scopes: SCOPES }) : clientOf(library, account);
  return {
    async headers() {
      try {
        return await client.getRequestHeaders();
      } catch (error) {
        throw signInError(reasonOf(error));
      }
    },
  };
}

function clientOf({ JWT }: Library, { email, key, keyId }: ServiceAccount): InstanceType<Library["JWT"]> {
  const client = new JWT({ email, key, keyId, scopes: SCOPES });
  client.useJWTAccessWithScope = true;
  return client;
}

const REASON_CHARACTERS = 200;

/** Of the library's own errors only the words that cannot hold a part of a key. */
function reasonOf(error: unknown): string {
  if (error instanceof StoreError) return error.message;
  // What Node says about text that is no JSON quotes it, and about a key that is none it says nothing of use.
  if (error instanceof SyntaxError) return "the file of the credentials is no JSON";
  if (error instanceof Error && "code" in error && String(error.code).startsWith("ERR_OSSL"))
    return "private_key is no key that can be read";
  return error instanceof Error ? error.message.slice(0, REASON_CHARACTERS) : "for no reason that is known";
}
