// The metadata fields by which drivers of Google's services sign in, as Dapr's gcp components have them
// (dapr-state-stores.md 16a): a service account, field by field, or what the environment gives. Knows no service.
import { type FieldTable, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";

export interface ServiceAccountSettings {
  readonly type: string;
  readonly private_key_id: string;
  readonly private_key: string;
  readonly client_email: string;
  readonly client_id: string;
  readonly auth_uri: string;
  readonly token_uri: string;
  readonly auth_provider_x509_cert_url: string;
  readonly client_x509_cert_url: string;
}

const UNUSED = "a service account signs its own tokens: nothing is asked of this address";

/** To be spread into the table of a driver. Dapr's documents spell some of the names in camel case. */
export const serviceAccountFields: FieldTable<ServiceAccountSettings> = {
  type: text({ fallback: "", doc: "`service_account`, as in the file of a key; says nothing by itself." }),
  private_key_id: text({
    fallback: "",
    aliases: ["privateKeyId"],
    doc: "Id of the service account's key. With it the service account signs in, without it what the environment gives.",
  }),
  private_key: text({
    fallback: "",
    secret: true,
    aliases: ["privateKey"],
    doc: "PEM text of that key; `\\n` may stand for an end of line.",
  }),
  client_email: text({ fallback: "", aliases: ["clientEmail"], doc: "The service account's address." }),
  client_id: text({
    fallback: "",
    aliases: ["clientId"],
    doc: "The service account's number; says nothing by itself.",
  }),
  auth_uri: text({ fallback: "", aliases: ["authUri"], ignored: UNUSED, doc: "Of Google's sign-in for people." }),
  token_uri: text({ fallback: "", aliases: ["tokenUri"], ignored: UNUSED, doc: "Of Google's tokens." }),
  auth_provider_x509_cert_url: text({
    fallback: "",
    aliases: ["authProviderX509CertUrl", "authProviderCertUrl"],
    ignored: UNUSED,
    doc: "Of the provider's certificates.",
  }),
  client_x509_cert_url: text({
    fallback: "",
    aliases: ["clientX509CertUrl", "clientCertUrl"],
    ignored: UNUSED,
    doc: "Of the service account's certificates.",
  }),
};

/** Who signs in. */
export interface ServiceAccount {
  readonly email: string;
  /** PEM text. */
  readonly key: string;
  readonly keyId: string;
}

/** Null: what the environment gives, Application Default Credentials. Only for settings without faults. */
export function serviceAccountOf(settings: Readonly<ServiceAccountSettings>): ServiceAccount | null {
  if (settings.private_key_id === "") return null;
  // In a manifest on one line, the ends of the key's lines are spelled out as in the file of the key.
  const key = settings.private_key.replaceAll("\\n", "\n");
  return { email: settings.client_email, key, keyId: settings.private_key_id };
}

/** What is wrong between these fields; `page` is where the driver's are described. */
export function checkServiceAccount(settings: Readonly<ServiceAccountSettings>, page: string): readonly Fault[] {
  const { type, private_key_id, private_key, client_email } = settings;
  const faults: Fault[] = [];
  const fault = (field: string, want: string): void => {
    faults.push({ severity: "error", field, got: null, want, hint: `see ${page}` });
  };
  if (type !== "" && type !== "service_account")
    fault("type", "service_account; leave the field out to sign in by what the environment gives");
  if (private_key_id === "") {
    if (private_key !== "") fault("private_key_id", "the id of the key beside private_key");
    return faults;
  }
  if (!private_key.includes("PRIVATE KEY")) fault("private_key", "the PEM text of a private key");
  if (!client_email.includes("@"))
    fault("client_email", "the service account's address, as name@project.iam.gserviceaccount.com");
  return faults;
}
