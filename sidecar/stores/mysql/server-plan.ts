// What the fields and the connection string mean together: which server, how encrypted, with which session variables. The
// names and defaults are go-sql-driver's, which Dapr uses. Touches no file and no server.
import { parseGoDuration } from "#kit/duration.ts";
import type { Fault } from "#kit/fault.ts";
import { pemFaults } from "#kit/pem.ts";
import { type ConnectionString, readConnectionString } from "./connection-string.ts";
import { type MysqlSettings, TIMEOUT_SEC } from "./fields.ts";

export type Endpoint =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "socket"; readonly path: string };

/** "none": no TLS. "unverified": any certificate. "full": one that is signed and made out to the host. */
export type TlsLevel = "none" | "unverified" | "full";

export interface ServerPlan {
  readonly endpoint: Endpoint;
  /** Tried in this order. */
  readonly tls: readonly TlsLevel[];
  readonly user: string;
  readonly password: string;
  readonly schema: string;
  /** Whether the server may ask for the password as it is; only over TLS. */
  readonly cleartext: boolean;
  /** Session variables of the connection string, as `name = value` in SQL. */
  readonly variables: readonly string[];
  readonly connectMs: number;
  /** Of a call, the waiting for a connection included. */
  readonly timeoutMs: number;
}

export interface PlanReading {
  /** Null when a fault is an error. */
  readonly plan: ServerPlan | null;
  readonly faults: readonly Fault[];
}

const CONNECT_MS = 5000;
const PORT = 3306;
const FIELD = "connectionString";

const TLS_LEVELS: Readonly<Record<string, readonly TlsLevel[]>> = {
  false: ["none"],
  preferred: ["unverified", "none"],
  "skip-verify": ["unverified"],
  true: ["full"],
  custom: ["full"],
};

/** Parameters of go-sql-driver about how it works inside, or about what this driver does in any case. */
const INTERNAL: ReadonlySet<string> = new Set([
  ...["allowNativePasswords", "checkConnLiveness", "clientFoundRows", "columnsWithAlias", "interpolateParams", "loc"],
  ...["maxAllowedPacket", "multiStatements", "parseTime", "rejectReadOnly", "strict", "timeTruncate", "inlineStrings"],
  ...["connectionAttributes", "allowAllFiles"],
]);
const READ_HERE: ReadonlySet<string> = new Set(["tls", "timeout", "allowCleartextPasswords"]);

/** Parameters without effect that somebody might count on, with the reason. */
const IDLE: Readonly<Record<string, string>> = {
  charset: "the connection speaks utf8mb4, which holds every character",
  collation: "keys are compared by their bytes",
  compress: "the connection is not compressed",
  readTimeout: "timeoutInSeconds bounds every call",
  writeTimeout: "timeoutInSeconds bounds every call",
  sql_mode: "the driver needs the strict mode, in which the server changes no value",
  time_zone: "the driver needs UTC, by which expiry is told",
};

/** Parameters that would be missed if they were passed over, or that the driver cannot work with. */
const REFUSED: Readonly<Record<string, string>> = {
  serverPubKey: "use tls=true, which checks the server by its certificate",
  allowFallbackToPlaintext: "use tls=preferred",
  allowOldPasswords: "give the user a password of today's kind",
  autocommit: "a single write has to be committed at once",
};

export function planServer(settings: Readonly<MysqlSettings>): PlanReading {
  const reading = readConnectionString(settings.connectionString);
  if ("want" in reading) return { plan: null, faults: [error(FIELD, reading.want)] };
  const { read } = reading;
  const faults = [...parameterFaults(read.parameters), ...schemaFaults(read, settings), ...authorityFaults(settings)];
  if (read.user === "") faults.push(error(FIELD, "a user", "as in user:password@tcp(host:3306)/"));
  const timeoutMs = (settings.timeoutInSeconds > 0 ? settings.timeoutInSeconds : TIMEOUT_SEC) * 1000;
  const plan: ServerPlan = {
    endpoint: endpointOf(read, faults),
    tls: tlsOf(read, settings, faults),
    user: read.user,
    password: read.password,
    schema: settings.schemaName,
    cleartext: read.parameters.get("allowCleartextPasswords") === "true",
    variables: variablesOf(read.parameters, faults),
    connectMs: Math.min(connectMsOf(read.parameters, faults), timeoutMs),
    timeoutMs,
  };
  return { plan: faults.some(({ severity }) => severity === "error") ? null : plan, faults };
}

function parameterFaults(parameters: ReadonlyMap<string, string>): readonly Fault[] {
  return [...parameters.keys()].flatMap((name): readonly Fault[] => {
    const refusal = REFUSED[name];
    if (refusal !== undefined) return [error(FIELD, `no parameter ${name}`, refusal)];
    const why = IDLE[name];
    if (why === undefined) return [];
    return [{ severity: "warning", field: FIELD, got: null, want: `no ${name}: it has no effect here`, hint: why }];
  });
}

function schemaFaults({ schema }: ConnectionString, settings: Readonly<MysqlSettings>): readonly Fault[] {
  const { schemaName, tableName, metadataTableName } = settings;
  const faults: Fault[] = [];
  if (schema !== "" && schema !== schemaName)
    faults.push(error(FIELD, "no schema behind the slash", "name it in schemaName, as Dapr has it"));
  // The server may fold names, so those that differ in case alone could be one table.
  if (tableName.toLowerCase() === metadataTableName.toLowerCase())
    faults.push(error("metadataTableName", "another table than tableName names"));
  return faults;
}

function authorityFaults({ pemPath, pemContents }: Readonly<MysqlSettings>): readonly Fault[] {
  if (pemPath !== "" && pemContents !== "") return [error("pemContents", "pemPath or pemContents, and not both")];
  return pemFaults({ certificates: { pemContents } });
}

const HOST_PORT = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/;

function endpointOf({ protocol, address }: ConnectionString, faults: Fault[]): Endpoint {
  if (protocol === "unix") return { kind: "socket", path: address === "" ? "/tmp/mysql.sock" : address };
  const [, bracketed, bare = "", digits = String(PORT)] = HOST_PORT.exec(address === "" ? "127.0.0.1" : address) ?? [];
  const host = bracketed ?? bare;
  const port = Number(digits);
  if (host === "") faults.push(error(FIELD, "a server as tcp(host:3306) or tcp([::1]:3306)"));
  else if (port < 1 || port > 65_535) faults.push(error(FIELD, "a port from 1 to 65535, as in tcp(host:3306)"));
  return { kind: "tcp", host, port };
}

function tlsOf(
  { parameters }: ConnectionString,
  { pemPath, pemContents }: Readonly<MysqlSettings>,
  faults: Fault[],
): readonly TlsLevel[] {
  const hasAuthority = pemPath !== "" || pemContents !== "";
  const mode = parameters.get("tls") ?? (hasAuthority ? "custom" : "false");
  const levels = TLS_LEVELS[mode];
  if (levels === undefined) faults.push(error(FIELD, `tls=${Object.keys(TLS_LEVELS).join(", ")}`));
  if (mode === "custom" && !hasAuthority)
    faults.push(error("pemPath", "an authority for tls=custom, here or in pemContents"));
  if (hasAuthority && mode !== "custom" && mode !== "true")
    faults.push(
      error(FIELD, "tls=custom beside pemPath or pemContents", "otherwise the certificate is checked by nobody"),
    );
  return levels ?? [];
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const VARIABLE_VALUE = /^(?:-?\d+(?:\.\d+)?|[A-Za-z_][A-Za-z0-9_]*|'[^'\\]*')$/;

/** Everything else is a system variable, whose value is written as SQL has it: a text with its quotes. */
function variablesOf(parameters: ReadonlyMap<string, string>, faults: Fault[]): readonly string[] {
  const variables: string[] = [];
  for (const [name, value] of parameters) {
    if (INTERNAL.has(name) || READ_HERE.has(name) || name in IDLE || name in REFUSED) continue;
    if (VARIABLE.test(name) && VARIABLE_VALUE.test(value)) variables.push(`${name} = ${value}`);
    else
      faults.push(error(FIELD, "system variables as name=value, texts in single quotes", "see docs/stores/mysql.md"));
  }
  return variables;
}

function connectMsOf(parameters: ReadonlyMap<string, string>, faults: Fault[]): number {
  const written = parameters.get("timeout");
  if (written === undefined) return CONNECT_MS;
  const ms = parseGoDuration(written);
  if (ms === null || ms <= 0) faults.push(error(FIELD, 'timeout as a duration, as in "5s"'));
  return ms ?? CONNECT_MS;
}

function error(field: string, want: string, hint: string | null = null): Fault {
  return { severity: "error", field, got: null, want, hint };
}
