// The metadata fields of state.sqlserver, version by version (dapr-state-stores.md 8a). Knows no client library.
import { duration, type Field, type FieldTable, flag, pattern, text, whole, word } from "#crds/fields.ts";

export type KeyType = "string" | "uuid" | "integer";

/** Who asks Microsoft Entra ID for a token; all empty: what the machine has. */
export interface AzureSettings {
  readonly azureTenantId: string;
  readonly azureClientId: string;
  readonly azureClientSecret: string;
  /** PEM text with certificate and key. */
  readonly azureCertificate: string;
  readonly azureCertificateFile: string;
  readonly azureCertificatePassword: string;
  readonly azureEnvironment: string;
}

export interface SqlServerSettings extends AzureSettings {
  readonly connectionString: string;
  readonly databaseName: string;
  readonly schemaName: string;
  readonly tableName: string;
  readonly metadataTableName: string;
  readonly keyType: KeyType;
  /** Characters. */
  readonly keyLength: number;
  readonly indexedProperties: string;
  /** Milliseconds; zero and below: off. */
  readonly cleanupInterval: number;
  readonly useAzureAD: boolean;
  readonly timeoutInSeconds: number;
  readonly maxConns: number;
  readonly azureAuthMethods: string | null;
}

export interface V1Settings extends SqlServerSettings {
  readonly bulkGetChunkSize: string | null;
}

export interface V2Settings extends SqlServerSettings {
  /** Keys; zero and below: the default. */
  readonly bulkGetChunkSize: number;
}

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const TIMEOUT_SEC = 20;
const TIMEOUT_SEC_MAX = 3600;
const CONNECTIONS = 10;
const CONNECTIONS_MAX = 1000;
/** Most characters of an NVARCHAR that is not MAX. */
export const KEY_LENGTH_MAX = 4000;
export const BULK_KEYS = 1000;
/** A request has at most 2100 parameters. */
export const BULK_KEYS_MAX = 2000;
const WHOLE_MAX = 2_147_483_647;

/** What Dapr takes, of any script, as long as the server's names may be without the beginnings that Dapr gives to some. */
const NAME = /^[\p{L}\p{N}_]{1,110}$/u;
const NAME_WANT = "1 to 110 letters, digits and underscores";

const server: FieldTable<SqlServerSettings> = {
  connectionString: text<string>({
    fallback: "",
    required: true,
    secret: true,
    aliases: ["url"],
    doc: "`Server=host;Port=1433;User Id=user;Password=…;Database=name`, or `sqlserver://user:password@host:1433?database=name`.",
  }),
  databaseName: pattern<string>({
    fallback: "dapr",
    shape: NAME,
    want: NAME_WANT,
    aliases: ["database"],
    doc: "Database where `connectionString` names none; made when it is not there.",
  }),
  schemaName: pattern<string>({
    fallback: "dbo",
    shape: NAME,
    want: NAME_WANT,
    aliases: ["schema"],
    doc: "Schema of the tables; made when it is not there.",
  }),
  tableName: pattern<string>({ fallback: "state", shape: NAME, want: NAME_WANT, doc: "Table of the values." }),
  metadataTableName: pattern<string>({
    fallback: "dapr_metadata",
    shape: NAME,
    want: NAME_WANT,
    doc: "Table of the last cleanup; may be shared by several stores.",
  }),
  keyType: word<KeyType>({
    fallback: "string",
    words: ["string", "uuid", "integer"],
    doc: "What keys are; the last two need `keyPrefix: none`, and take keys in one spelling.",
  }),
  keyLength: whole<number>({
    fallback: 200,
    min: 1,
    max: KEY_LENGTH_MAX,
    doc: "Characters of a key, prefix included, in a table that is made; an index ends at 450.",
  }),
  indexedProperties: text<string>({
    fallback: "",
    doc: '`[{"column":"customer","property":"customer.id","type":"nvarchar(50)"}]`: members of the values as columns with an index.',
  }),
  cleanupInterval: duration<number>({
    fallback: HOUR_MS,
    bare: "seconds",
    min: -YEAR_MS,
    max: YEAR_MS,
    aliases: ["cleanupIntervalInSeconds"],
    doc: "How often expired rows are removed; zero or less: never. Expired rows are not served either way.",
  }),
  useAzureAD: flag({
    fallback: false,
    doc: "Sign in by a token of Microsoft Entra ID in place of a user and a password.",
  }),
  azureTenantId: text<string>({
    fallback: "",
    aliases: ["spnTenantId", "tenantId"],
    doc: "Entra ID: tenant of the application.",
  }),
  azureClientId: text<string>({
    fallback: "",
    aliases: ["spnClientId", "clientId"],
    doc: "Entra ID: the application; alone, a managed identity; without it, what the machine has.",
  }),
  azureClientSecret: text<string>({
    fallback: "",
    secret: true,
    aliases: ["spnClientSecret", "clientSecret"],
    doc: "Entra ID: the application's secret.",
  }),
  azureCertificate: text<string>({
    fallback: "",
    secret: true,
    aliases: ["spnCertificate"],
    doc: "Entra ID: PEM text of the application's certificate and its key, in place of its secret.",
  }),
  azureCertificateFile: text<string>({
    fallback: "",
    aliases: ["spnCertificateFile"],
    doc: "Entra ID: the same in a file.",
  }),
  azureCertificatePassword: text<string>({
    fallback: "",
    secret: true,
    aliases: ["spnCertificatePassword"],
    doc: "Entra ID: password of the certificate's key.",
  }),
  azureEnvironment: text<string>({
    fallback: "AzurePublicCloud",
    aliases: ["azureCloud"],
    doc: "`AzurePublicCloud`, `AzureChinaCloud` or `AzureUSGovernmentCloud`.",
  }),
  timeoutInSeconds: whole<number>({
    fallback: TIMEOUT_SEC,
    min: 1,
    max: TIMEOUT_SEC_MAX,
    doc: "Longest that a request waits for its answer, for a connection included. Pannier's own.",
  }),
  maxConns: whole<number>({
    fallback: CONNECTIONS,
    min: 1,
    max: CONNECTIONS_MAX,
    doc: "Most connections of this sidecar. Pannier's own.",
  }),
  azureAuthMethods: without("the way of signing in follows from the other azure fields", [
    "azureADAuthMethods",
    "entraIDAuthMethods",
    "microsoftEntraIDAuthMethods",
  ]),
};

export const v1Fields: FieldTable<V1Settings> = {
  ...server,
  bulkGetChunkSize: without("it is of version v2"),
};

export const v2Fields: FieldTable<V2Settings> = {
  ...server,
  bulkGetChunkSize: whole<number>({
    fallback: BULK_KEYS,
    min: -WHOLE_MAX,
    max: WHOLE_MAX,
    doc: "Keys that one statement asks for; zero and below: the default; 2000 at most.",
  }),
};

function without(ignored: string, aliases: readonly string[] = [], secret = false): Field<string | null> {
  return text<null>({ fallback: null, doc: "Without effect.", ignored, aliases, secret });
}
