// Tokens of Microsoft Entra ID to sign in with. Alone knows @azure/identity, and loads it only when a Component says
// useAzureAD. Knows no connection.
import type { TokenCredential } from "@azure/identity";
import { loading } from "../packages.ts";
import { SqlError } from "../sql/failure.ts";
import type { AzureSettings } from "./fields.ts";

interface Cloud {
  /** Whose tokens are taken. */
  readonly scope: string;
  readonly authorityHost: string;
}

const PUBLIC: Cloud = {
  scope: "https://database.windows.net/.default",
  authorityHost: "https://login.microsoftonline.com",
};
const CHINA: Cloud = {
  scope: "https://database.chinacloudapi.cn/.default",
  authorityHost: "https://login.chinacloudapi.cn",
};
const GOVERNMENT: Cloud = {
  scope: "https://database.usgovcloudapi.net/.default",
  authorityHost: "https://login.microsoftonline.us",
};

export function cloudOf(environment: string): Cloud {
  const name = environment.toLowerCase();
  if (name.startsWith("azurechina")) return CHINA;
  return name.startsWith("azureusgovernment") ? GOVERNMENT : PUBLIC;
}

/** Gives a token, or rejects with a SqlError. */
export type Tokens = (signal: AbortSignal) => Promise<string>;

/** Of the library, which keeps a token until shortly before its end. Rejects where the package is not installed. */
export async function openTokens(settings: AzureSettings): Promise<Tokens> {
  const library = await loading(() => import("@azure/identity"));
  const cloud = cloudOf(settings.azureEnvironment);
  const credential = credentialOf(library, settings, cloud);
  return async (signal) => {
    try {
      const token = await credential.getToken(cloud.scope, { abortSignal: signal });
      if (token === null) throw new Error("there is none");
      return token.token;
    } catch (error) {
      // Its text is long, and may hold what was sent.
      const why = error instanceof Error ? error.name : "unknown";
      throw new SqlError("unavailable", `Microsoft Entra ID gives no token (${why}); check the azure fields`);
    }
  };
}

type Library = typeof import("@azure/identity");

function credentialOf(library: Library, settings: AzureSettings, { authorityHost }: Cloud): TokenCredential {
  const { azureTenantId, azureClientId, azureClientSecret, azureCertificate, azureCertificateFile } = settings;
  const options = { authorityHost };
  if (azureClientSecret !== "")
    return new library.ClientSecretCredential(azureTenantId, azureClientId, azureClientSecret, options);
  const secret = settings.azureCertificatePassword;
  const password = secret === "" ? {} : { certificatePassword: secret };
  const { ClientCertificateCredential } = library;
  if (azureCertificate !== "")
    return new ClientCertificateCredential(
      azureTenantId,
      azureClientId,
      { certificate: azureCertificate, ...password },
      options,
    );
  if (azureCertificateFile !== "")
    return new ClientCertificateCredential(
      azureTenantId,
      azureClientId,
      { certificatePath: azureCertificateFile, ...password },
      options,
    );
  const machine = azureClientId === "" ? {} : { managedIdentityClientId: azureClientId };
  return new library.DefaultAzureCredential({ ...options, ...machine });
}
