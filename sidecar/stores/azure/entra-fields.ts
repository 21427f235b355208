// The metadata fields by which drivers of Azure's services sign in at Entra ID, as Dapr's components have them
// (dapr-state-stores.md 0.6), and which ways to sign in they mean. Knows no service and loads no library.
import { type FieldTable, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { cloudOf } from "./clouds.ts";

export interface EntraSettings {
  readonly azureTenantId: string;
  readonly azureClientId: string;
  readonly azureClientSecret: string;
  readonly azureCertificate: string;
  readonly azureCertificateFile: string;
  readonly azureCertificatePassword: string;
  readonly azureEnvironment: string;
  readonly azureAuthMethods: string;
}

/** To be spread into the table of a driver. */
export const entraFields: FieldTable<EntraSettings> = {
  azureTenantId: text({ fallback: "", aliases: ["spnTenantId", "tenantId"], doc: "Entra ID: the tenant." }),
  azureClientId: text({
    fallback: "",
    aliases: ["spnClientId", "clientId"],
    doc: "Entra ID: the application; alone, a managed identity that is not the pod's only one.",
  }),
  azureClientSecret: text({
    fallback: "",
    secret: true,
    aliases: ["spnClientSecret", "clientSecret"],
    doc: "Entra ID: the application's secret.",
  }),
  azureCertificate: text({
    fallback: "",
    secret: true,
    aliases: ["spnCertificate"],
    doc: "Entra ID: PEM text of the application's certificate and its key, in place of its secret. Dapr takes PKCS#12 too: `openssl pkcs12 -in cert.pfx -out cert.pem -noenc` turns that into PEM.",
  }),
  azureCertificateFile: text({
    fallback: "",
    aliases: ["spnCertificateFile"],
    doc: "Entra ID: the same in a file.",
  }),
  azureCertificatePassword: text({
    fallback: "",
    secret: true,
    aliases: ["spnCertificatePassword"],
    doc: "Entra ID: password of the certificate's key.",
  }),
  azureEnvironment: text({
    fallback: "",
    shownDefault: "`AzurePublicCloud`",
    aliases: ["azureCloud"],
    doc: "`AzurePublicCloud`, `AzureChinaCloud` or `AzureUSGovernmentCloud`.",
  }),
  azureAuthMethods: text({
    fallback: "",
    shownDefault: "all",
    aliases: ["azureADAuthMethods", "entraIDAuthMethods", "microsoftEntraIDAuthMethods"],
    doc: "Entra ID: ways to sign in, in the order in which they are tried, with commas between them: `ClientCredentials`, `ClientCertificate`, `WorkloadIdentity`, `ManagedIdentity`, `CommandLineInterface`, or `None`. Those whose fields are not given are left out.",
  }),
};

/** A way to sign in. */
export type EntraMethod = "secret" | "certificate" | "workload-identity" | "managed-identity" | "command-line";

/** Dapr's words for them, in lower case. */
const METHODS: Readonly<Record<string, EntraMethod>> = {
  clientcredentials: "secret",
  creds: "secret",
  clientcertificate: "certificate",
  cert: "certificate",
  workloadidentity: "workload-identity",
  wi: "workload-identity",
  managedidentity: "managed-identity",
  mi: "managed-identity",
  commandlineinterface: "command-line",
  cli: "command-line",
};

const USUAL_METHODS: readonly EntraMethod[] = [
  "secret",
  "certificate",
  "workload-identity",
  "managed-identity",
  "command-line",
];

/**
 * The ways to sign in that the settings mean, in order: those of `azureAuthMethods`, or all, and of them only those whose
 * fields are given. Null when a word of `azureAuthMethods` is none; empty for the word `none`.
 */
export function entraMethods(settings: Readonly<EntraSettings>): readonly EntraMethod[] | null {
  const words = settings.azureAuthMethods
    .toLowerCase()
    .split(",")
    .map((word) => word.trim());
  if (words.join("") === "") return USUAL_METHODS.filter((method) => isGiven(method, settings));
  if (words.includes("none")) return [];
  const methods = words.map((word) => METHODS[word]).filter((method) => method !== undefined);
  return methods.length < words.length ? null : methods.filter((method) => isGiven(method, settings));
}

function isGiven(method: EntraMethod, settings: Readonly<EntraSettings>): boolean {
  const { azureTenantId, azureClientId, azureClientSecret, azureCertificate, azureCertificateFile } = settings;
  if (method === "secret") return azureTenantId !== "" && azureClientId !== "" && azureClientSecret !== "";
  if (method === "certificate")
    return azureTenantId !== "" && azureClientId !== "" && `${azureCertificate}${azureCertificateFile}` !== "";
  return true;
}

/** What is wrong with the name of the cloud, whoever signs in. `page` is where the driver's fields are described. */
export function checkCloud({ azureEnvironment }: Readonly<EntraSettings>, page: string): readonly Fault[] {
  if (cloudOf(azureEnvironment) !== null) return [];
  const want = "AzurePublicCloud, AzureChinaCloud or AzureUSGovernmentCloud";
  return [{ severity: "error", field: "azureEnvironment", got: azureEnvironment, want, hint: `see ${page}` }];
}

/** What is wrong between these fields where Entra ID signs in. */
export function checkEntra(settings: Readonly<EntraSettings>, page: string): readonly Fault[] {
  const faults: Fault[] = [];
  const fault = (field: string, got: string | null, want: string): void => {
    faults.push({ severity: "error", field, got, want, hint: `see ${page}` });
  };
  const { azureAuthMethods, azureCertificate, azureCertificateFile } = settings;
  const methods = entraMethods(settings);
  if (methods === null)
    fault("azureAuthMethods", azureAuthMethods, `words out of ${Object.keys(METHODS).join(", ")} and none`);
  else if (methods.length === 0)
    fault("azureAuthMethods", azureAuthMethods, "a way to sign in whose fields are given, or a key of the account");
  if (azureCertificate !== "" && azureCertificateFile !== "")
    fault("azureCertificateFile", null, "either azureCertificate or azureCertificateFile");
  // Dapr takes PKCS#12 too, which Microsoft's library for Node cannot read.
  if (azureCertificate !== "" && !azureCertificate.includes("-----BEGIN "))
    fault(
      "azureCertificate",
      null,
      "PEM text; openssl pkcs12 -in cert.pfx -out cert.pem -noenc makes it out of PKCS#12",
    );
  return faults;
}
