// What the fields and the connection string mean together: which server, how encrypted, who signs in. Names and defaults
// are go-mssqldb's, which Dapr uses (https://github.com/microsoft/go-mssqldb#connection-parameters-and-dsn). Touches no file
// and no server.
import type { Fault } from "#kit/fault.ts";
import { readConnectionString } from "./connection-string.ts";
import type { AzureSettings, SqlServerSettings } from "./fields.ts";

/** "none": nothing is encrypted. "tls": after a first exchange. "strict": from the first byte (TDS 8). */
export type Encryption = "none" | "tls" | "strict";

export type SignIn =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  | { readonly kind: "azure"; readonly settings: AzureSettings };

export interface ServerPlan {
  readonly host: string;
  /** Null: that of the instance is asked for. */
  readonly port: number | null;
  readonly instance: string | null;
  readonly encryption: Encryption;
  /** Take any certificate. */
  readonly trustsAnyone: boolean;
  /** Path of the file with the authorities that may sign the server's certificate; null: those of the system. */
  readonly authorityFile: string | null;
  /** Whom the certificate has to be made out to, when not to the host. */
  readonly certificateName: string | null;
  readonly signIn: SignIn;
  readonly database: string;
  /** The connection string named it: then it is not made. */
  readonly databaseGiven: boolean;
  readonly applicationName: string | null;
  readonly workstation: string | null;
  readonly multiSubnetFailover: boolean;
  /** Bytes of a packet. */
  readonly packetSize: number;
  readonly connectMs: number;
  /** Of a call, the waiting for a connection included. */
  readonly timeoutMs: number;
}

export interface PlanReading {
  /** Null when a fault is an error. */
  readonly plan: ServerPlan | null;
  readonly faults: readonly Fault[];
}

const FIELD = "connectionString";
const PORT = 1433;
const CONNECT_MS = 15_000;
const PACKET_BYTES = 4096;
const PACKET_BYTES_MIN = 512;
const PACKET_BYTES_MAX = 32_767;

const ENCRYPTIONS: Readonly<Record<string, Encryption>> = {
  ...{ strict: "strict", disable: "none" },
  ...{ true: "tls", t: "tls", yes: "tls", "1": "tls", mandatory: "tls" },
  // There only the sign-in is encrypted with Dapr; the client here knows all or nothing.
  ...{ false: "tls", f: "tls", no: "tls", "0": "tls", optional: "tls" },
};
const YES: ReadonlySet<string> = new Set(["true", "t", "1", "yes"]);
const NO: ReadonlySet<string> = new Set(["false", "f", "0", "no", ""]);

const READ_HERE: ReadonlySet<string> = new Set([
  ...["server", "port", "user id", "password", "database", "encrypt", "trustservercertificate", "certificate"],
  ...["hostnameincertificate", "app name", "workstation id", "multisubnetfailover", "packet size"],
  ...["connection timeout", "dial timeout", "applicationintent", "integrated security", "fedauth", "authenticator"],
]);

/** Parameters that would be missed if they were passed over. */
const REFUSED: Readonly<Record<string, string>> = {
  failoverpartner: "name the listener of an availability group",
  columnencryption: "encrypted columns are not in the layout",
  "change password": "change it in the server, and in the secret",
  serverspn: "sign in with a user and a password, or with useAzureAD",
  servercertificate: "name its authority in certificate",
  pipe: "name the server by host and port",
  tlsmin: "TLS 1.2 is the least here",
};

export function planServer(settings: Readonly<SqlServerSettings>): PlanReading {
  const reading = readConnectionString(settings.connectionString);
  if ("want" in reading) return { plan: null, faults: [error(FIELD, reading.want)] };
  const { read } = reading;
  const faults: Fault[] = [...parameterFaults(read), ...tableFaults(settings)];
  const timeoutMs = settings.timeoutInSeconds * 1000;
  const encrypt = (read.get("encrypt") ?? "false").toLowerCase();
  const encryption = ENCRYPTIONS[encrypt];
  if (encryption === undefined) faults.push(error(FIELD, "encrypt=true, false, strict or disable"));
  if (encryption === "none" && settings.useAzureAD)
    faults.push(error(FIELD, "encryption beside useAzureAD", "without it everybody on the way can read the token"));
  const database = read.get("database") ?? "";
  const plan: ServerPlan = {
    ...endpointOf(read, faults),
    encryption: encryption ?? "tls",
    // As go-mssqldb has it: who says nothing about encryption takes any certificate.
    trustsAnyone: flagOf(read, "trustservercertificate", !read.has("encrypt"), faults),
    authorityFile: read.get("certificate") ?? null,
    certificateName: read.get("hostnameincertificate") ?? null,
    signIn: signInOf(read, settings, faults),
    database: database === "" ? settings.databaseName : database,
    databaseGiven: database !== "",
    applicationName: read.get("app name") ?? null,
    workstation: read.get("workstation id") ?? null,
    multiSubnetFailover: flagOf(read, "multisubnetfailover", false, faults),
    packetSize: packetSizeOf(read, faults),
    connectMs: Math.min(connectMsOf(read, faults), timeoutMs),
    timeoutMs,
  };
  return { plan: faults.some(({ severity }) => severity === "error") ? null : plan, faults };
}

function parameterFaults(read: ReadonlyMap<string, string>): readonly Fault[] {
  return [...read.keys()].flatMap((name): readonly Fault[] => {
    const refusal = REFUSED[name];
    if (refusal !== undefined) return [error(FIELD, `no parameter ${name}`, refusal)];
    if (READ_HERE.has(name)) return [];
    const hint = "see docs/stores/sqlserver.md for those that have one";
    return [{ severity: "warning", field: FIELD, got: null, want: `no ${shown(name)}: it has no effect here`, hint }];
  });
}

/** A name that is none may be a piece of a password that wants quotes. */
function shown(name: string): string {
  return PARAMETER.test(name) ? name : "parameter of this name";
}

const PARAMETER = /^[a-z][a-z ]{0,39}$/;

function tableFaults({ tableName, metadataTableName }: Readonly<SqlServerSettings>): readonly Fault[] {
  // The server may fold names, so those that differ in case alone could be one table.
  const same = tableName.toLowerCase() === metadataTableName.toLowerCase();
  return same ? [error("metadataTableName", "another table than tableName names")] : [];
}

type Endpoint = Pick<ServerPlan, "host" | "port" | "instance">;

/** `host`, `host,port`, `host\instance`, `tcp:host,port`. A port makes the instance's name needless. */
function endpointOf(read: ReadonlyMap<string, string>, faults: Fault[]): Endpoint {
  const server = read.get("server") ?? "";
  const bare = server.toLowerCase().startsWith("tcp:") ? server.slice("tcp:".length) : server;
  const [address = "", listed] = bare.split(",");
  const [name = "", instance] = address.trim().split("\\");
  const digits = read.get("port") ?? listed?.trim();
  if (digits === undefined && /^[^:[\]]+:\d+$/.test(name))
    faults.push(
      error(FIELD, "a port from 1 to 65535 behind a comma", "as in Server=host,1433, or Server=host;Port=1433"),
    );
  const port = digits === undefined ? null : Number(digits);
  if (name === "" || /^(np|lpc|admin):/i.test(name))
    faults.push(error(FIELD, "a server", "as in Server=host;Port=1433; only TCP is spoken"));
  if (port !== null && !(Number.isInteger(port) && port >= 1 && port <= 65_535))
    faults.push(error(FIELD, "a port from 1 to 65535"));
  const host = name === "." || name.toLowerCase() === "(local)" ? "localhost" : name.replace(/^\[(.*)\]$/, "$1");
  if (instance === undefined || instance === "" || port !== null) return { host, port: port ?? PORT, instance: null };
  return { host, port: null, instance };
}

function signInOf(read: ReadonlyMap<string, string>, settings: Readonly<SqlServerSettings>, faults: Fault[]): SignIn {
  if (/^readonly$/i.test(read.get("applicationintent") ?? ""))
    faults.push(error(FIELD, "no ApplicationIntent=ReadOnly", "writes need the primary"));
  if (read.has("fedauth")) faults.push(error(FIELD, "no fedauth", "set useAzureAD to true"));
  if (settings.useAzureAD) return { kind: "azure", settings: azureOf(settings, faults) };
  const user = read.get("user id") ?? "";
  const isWindows = user.includes("\\") || read.has("authenticator") || YES.has(integratedOf(read));
  if (isWindows) faults.push(error(FIELD, "a user of the server itself", "Windows users cannot sign in from here"));
  else if (user === "") faults.push(error(FIELD, "a user", "as in User Id=user;Password=…, or useAzureAD"));
  return { kind: "password", user, password: read.get("password") ?? "" };
}

function integratedOf(read: ReadonlyMap<string, string>): string {
  const word = (read.get("integrated security") ?? "").toLowerCase();
  return word === "sspi" ? "true" : word;
}

const ENVIRONMENTS: ReadonlySet<string> = new Set([
  ...["azurepubliccloud", "azurepublic", "azurechinacloud", "azurechina"],
  ...["azureusgovernmentcloud", "azureusgovernment"],
]);

function azureOf(settings: Readonly<SqlServerSettings>, faults: Fault[]): AzureSettings {
  const { azureTenantId, azureClientId, azureClientSecret, azureCertificate, azureCertificateFile } = settings;
  const application = [azureClientSecret, azureCertificate, azureCertificateFile].filter((each) => each !== "");
  if (application.length > 1)
    faults.push(error("azureClientSecret", "one of azureClientSecret, azureCertificate and azureCertificateFile"));
  if (application.length > 0 && (azureTenantId === "" || azureClientId === ""))
    faults.push(error("azureTenantId", "azureTenantId and azureClientId beside a secret or a certificate"));
  if (azureCertificate !== "" && !azureCertificate.includes("-----BEGIN "))
    faults.push(error("azureCertificate", "certificate and key as PEM text", "a PFX file can be turned by openssl"));
  if (!ENVIRONMENTS.has(settings.azureEnvironment.toLowerCase()))
    faults.push(error("azureEnvironment", "AzurePublicCloud, AzureChinaCloud or AzureUSGovernmentCloud"));
  return {
    azureTenantId,
    azureClientId,
    azureClientSecret,
    azureCertificate,
    azureCertificateFile,
    azureCertificatePassword: settings.azureCertificatePassword,
    azureEnvironment: settings.azureEnvironment,
  };
}

function flagOf(read: ReadonlyMap<string, string>, name: string, fallback: boolean, faults: Fault[]): boolean {
  const word = read.get(name)?.toLowerCase();
  if (word === undefined) return fallback;
  if (!YES.has(word) && !NO.has(word)) faults.push(error(FIELD, `${name} as true or false`));
  return YES.has(word);
}

function packetSizeOf(read: ReadonlyMap<string, string>, faults: Fault[]): number {
  const bytes = Number(read.get("packet size") ?? PACKET_BYTES);
  if (!Number.isInteger(bytes)) faults.push(error(FIELD, "packet size as a whole number of bytes"));
  return Math.min(PACKET_BYTES_MAX, Math.max(PACKET_BYTES_MIN, bytes));
}

/** Zero is go-mssqldb's word for its default. */
function connectMsOf(read: ReadonlyMap<string, string>, faults: Fault[]): number {
  const written = read.get("dial timeout") ?? read.get("connection timeout");
  const seconds = Number(written ?? 0);
  if (!Number.isInteger(seconds) || seconds < 0) faults.push(error(FIELD, "timeouts as whole numbers of seconds"));
  return seconds > 0 ? seconds * 1000 : CONNECT_MS;
}

function error(field: string, want: string, hint: string | null = null): Fault {
  return { severity: "error", field, got: null, want, hint };
}
