// Azure's clouds, which have the same services under other names. Knows no service's client.

export interface AzureCloud {
  /** Where Entra ID signs in. */
  readonly authorityHost: string;
  /** Behind "<account>.blob." and "<account>.table.". */
  readonly storageSuffix: string;
  /** Behind "<account>.table.", for Cosmos DB. */
  readonly cosmosSuffix: string;
}

const PUBLIC: AzureCloud = {
  authorityHost: "https://login.microsoftonline.com",
  storageSuffix: "core.windows.net",
  cosmosSuffix: "cosmos.azure.com",
};
const CHINA: AzureCloud = {
  authorityHost: "https://login.chinacloudapi.cn",
  storageSuffix: "core.chinacloudapi.cn",
  cosmosSuffix: "cosmos.azure.cn",
};
const US_GOVERNMENT: AzureCloud = {
  authorityHost: "https://login.microsoftonline.us",
  storageSuffix: "core.usgovcloudapi.net",
  cosmosSuffix: "cosmos.azure.us",
};

/** The names that `azureEnvironment` takes, in lower case (dapr-state-stores.md 0.6). */
const CLOUDS: Readonly<Record<string, AzureCloud>> = {
  "": PUBLIC,
  azurepublic: PUBLIC,
  azurepubliccloud: PUBLIC,
  azurechina: CHINA,
  azurechinacloud: CHINA,
  azureusgovernment: US_GOVERNMENT,
  azureusgovernmentcloud: US_GOVERNMENT,
};

/** The cloud of a name in any case, or null for a name that is none. */
export function cloudOf(name: string): AzureCloud | null {
  return CLOUDS[name.toLowerCase()] ?? null;
}
