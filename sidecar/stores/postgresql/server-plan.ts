// What the fields and the connection string mean together: which servers in which order, how encrypted, with which
// session settings, how many connections. The names and defaults are pgx's, which Dapr uses. Touches no file and no server.
import { parseGoDuration } from "#kit/duration.ts";
import type { Fault } from "#kit/fault.ts";
import { readConnectionString } from "./connection-string.ts";
import { CONNECTIONS_MAX, QUERY_EXEC_MODES, type ServerSettings } from "./fields.ts";
import { POSTGRESQL, type Product } from "./product.ts";
import { checkSignIn } from "./sign-in-fields.ts";

export interface Endpoint {
  /** A name or an address; a path: the folder of a Unix socket. */
  readonly host: string;
  /** Where to connect to: `hostaddr`, or the host itself. */
  readonly address: string;
  readonly port: number;
}

/** "none": no TLS. "unverified": any certificate. "authority": one that is signed. "full": and made out to the host. */
export type TlsLevel = "none" | "unverified" | "authority" | "full";

export interface ServerPlan {
  readonly product: Product;
  /** Tried in this order, each with each of the levels. */
  readonly endpoints: readonly Endpoint[];
  readonly tls: readonly TlsLevel[];
  /** Paths of PEM files; "" for none. */
  readonly files: { readonly root: string; readonly certificate: string; readonly key: string };
  readonly keyPassword: string;
  /** Speak TLS from the first byte (PostgreSQL 17). */
  readonly tlsFirst: boolean;
  readonly user: string;
  readonly password: string;
  /** Path of a file with passwords, where there is no other; "" for none. */
  readonly passwordFile: string;
  readonly database: string;
  /** Settings of each session, as `search_path`, told when it begins. */
  readonly session: Readonly<Record<string, string>>;
  /** Pass over servers that take no writes. */
  readonly writable: boolean;
  /** For each host and level of TLS that is tried. */
  readonly connectMs: number;
  readonly maxConns: number;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  /** Prepare statements once per connection. */
  readonly prepares: boolean;
}

export interface PlanReading {
  /** Null when a fault is an error. */
  readonly plan: ServerPlan | null;
  readonly faults: readonly Fault[];
}

const CONNECT_MS = 5000;
const CONNECT_MS_MAX = 600_000;
const CONNECTIONS_MIN_DEFAULT = 4;
const IDLE_MS = 30 * 60_000;
const LIFETIME_MS = 3_600_000;
const PORT = 5432;
const FIELD = "connectionString";

const TLS_LEVELS: Readonly<Record<string, readonly TlsLevel[]>> = {
  disable: ["none"],
  allow: ["none", "unverified"],
  prefer: ["unverified", "none"],
  require: ["unverified"],
  "verify-ca": ["authority"],
  "verify-full": ["full"],
};

/** Parameters that mean something here; every other one is a setting of the session. */
const KNOWN: ReadonlySet<string> = new Set([
  ...["host", "hostaddr", "port", "database", "user", "password", "passfile"],
  ...["connect_timeout", "target_session_attrs"],
  ...["sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslnegotiation", "default_query_exec_mode"],
  ...["pool_max_conns", "pool_max_conn_idle_time", "pool_max_conn_lifetime"],
]);

/** Parameters of pgx and libpq without effect here, with the reason. */
const IDLE: Readonly<Record<string, string>> = {
  pool_min_conns: "connections are made when they are needed",
  pool_min_idle_conns: "connections are made when they are needed",
  pool_health_check_period: "a connection that breaks is noticed at once",
  pool_max_conn_lifetime_jitter: "connections end after their next use and so not all at once",
  statement_cache_capacity: "the driver has a dozen statements, and keeps them all",
  description_cache_capacity: "nothing is described ahead",
  min_read_buffer_size: "the client sizes its buffers by itself",
  sslsni: "the server's name is sent always",
  client_min_messages: "a warning of the server tells what may not be replicated",
  fallback_application_name: "application_name says it",
};

/** Parameters that would be missed if they were passed over. */
const REFUSED: Readonly<Record<string, string>> = {
  service: "write out what the service file says",
  servicefile: "write out what the service file says",
  krbspn: "sign in with a password or a client certificate",
  krbsrvname: "sign in with a password or a client certificate",
  channel_binding: "sslmode=verify-full keeps others from coming between",
};

/** `cores`: of this machine, for the default number of connections. */
export function planServer(
  settings: Readonly<ServerSettings>,
  cores: number,
  product: Product = POSTGRESQL,
): PlanReading {
  const reading = readConnectionString(settings.connectionString);
  if ("want" in reading) return { plan: null, faults: [error(FIELD, reading.want)] };
  const given = withFields(reading.parameters, settings);
  const faults = [...checkSignIn(settings), ...parameterFaults(reading.parameters)];
  const token = settings.useAzureAD ? "useAzureAD" : settings.useAWSIAM ? "useAWSIAM" : null;
  if (token !== null && given.has("password")) faults.push(unusedPassword(token));
  const endpoints = endpointsOf(given, faults);
  const user = given.get("user") ?? "";
  if (user === "") {
    faults.push(error(FIELD, "a user, there or in the field user", "the environment and ~/.pgpass are not looked at"));
  }
  const secured = token === null ? given : withTls(given, endpoints, faults);
  if (!isLocal(endpoints)) faults.push(...idleRoot(secured, settings));
  const plan = {
    product,
    endpoints,
    ...tlsOf(secured, endpoints, faults),
    user,
    password: given.get("password") ?? "",
    passwordFile: given.get("passfile") ?? "",
    database: given.get("database") ?? user,
    session: sessionOf(given),
    writable: writableOf(given, faults),
    connectMs: Math.min(connectMsOf(given, faults), settings.timeout),
    ...poolOf(given, settings, cores, faults),
    prepares: preparesOf(given, settings, faults),
  };
  return { plan: faults.some(({ severity }) => severity === "error") ? null : plan, faults };
}

/** Each field that says something comes before its part of the connection string. */
function withFields(parameters: ReadonlyMap<string, string>, settings: ServerSettings): Map<string, string> {
  const given = new Map(parameters);
  const fields = { sslrootcert: settings.sslRootCert, user: settings.user, password: settings.password };
  const { host, hostaddr, port, database } = settings;
  for (const [name, value] of Object.entries({ ...fields, host, hostaddr, port, database })) {
    if (value !== "") given.set(name, value);
  }
  return given;
}

function unusedPassword(token: string): Fault {
  return { severity: "warning", field: "password", got: null, want: `nothing: ${token} signs in`, hint: null };
}

/** A token is sent as it is: whoever reads along could sign in with it. */
function withTls(
  given: ReadonlyMap<string, string>,
  endpoints: readonly Endpoint[],
  faults: Fault[],
): ReadonlyMap<string, string> {
  if (isLocal(endpoints)) return given;
  const mode = given.get("sslmode") ?? "prefer";
  if (mode === "disable")
    faults.push(error(FIELD, "another sslmode than disable: a token is sent as it is", "verify-full is the best"));
  return mode === "allow" || mode === "prefer" ? new Map([...given, ["sslmode", "require"]]) : given;
}

/** As with libpq these modes look at no certificate, while who names an authority may believe otherwise. */
function idleRoot(given: ReadonlyMap<string, string>, { sslRootCert }: ServerSettings): readonly Fault[] {
  const mode = given.get("sslmode") ?? "prefer";
  if (!given.get("sslrootcert") || !UNCHECKED.has(mode)) return [];
  const field = sslRootCert === "" ? FIELD : "sslRootCert";
  const does =
    mode === "disable" ? "nothing is encrypted" : "any certificate is taken, and a connection without TLS too";
  const want = `sslmode=verify-full or verify-ca beside ${sslRootCert === "" ? "sslrootcert" : "it"}`;
  return [
    {
      severity: "warning",
      field,
      got: null,
      want,
      hint: `with ${mode}${given.has("sslmode") ? "" : ", the default,"} ${does}`,
    },
  ];
}

const UNCHECKED: ReadonlySet<string> = new Set(["disable", "allow", "prefer"]);

function isLocal(endpoints: readonly Endpoint[]): boolean {
  return endpoints.length > 0 && endpoints.every(({ address }) => address.startsWith("/"));
}

function parameterFaults(parameters: ReadonlyMap<string, string>): readonly Fault[] {
  const faults: Fault[] = [];
  for (const name of parameters.keys()) {
    const reason = REFUSED[name];
    if (reason !== undefined) faults.push(error(FIELD, `no parameter ${name}`, reason));
    const why = IDLE[name];
    if (why === undefined) continue;
    faults.push({ severity: "warning", field: FIELD, got: null, want: `no ${name}: it has no effect here`, hint: why });
  }
  return faults;
}

function endpointsOf(given: ReadonlyMap<string, string>, faults: Fault[]): readonly Endpoint[] {
  const addresses = (given.get("hostaddr") ?? "").split(",");
  const hosts = (given.get("host") ?? given.get("hostaddr") ?? "").split(",");
  const ports = (given.get("port") ?? "").split(",");
  if (hosts.length === 1 && hosts[0] === "") {
    faults.push(error(FIELD, "a host, there or in the field host", "see docs/stores/postgresql.md"));
    return [];
  }
  const countFits = (list: readonly string[]): boolean => list.length === 1 || list.length === hosts.length;
  if (!countFits(ports) || !(addresses.length === hosts.length || given.get("hostaddr") === undefined))
    faults.push(error(FIELD, "as many ports and addresses as hosts, or one port for all"));
  return hosts.map((host, index) => {
    const written = (ports.length === 1 ? ports[0] : ports[index]) ?? "";
    const port = written === "" ? PORT : /^\d{1,5}$/.test(written) ? Number(written) : 0;
    if (port < 1 || port > 65_535) faults.push(error(FIELD, "a port from 1 to 65535"));
    return { host, address: addresses[index] || host, port };
  });
}

function tlsOf(
  given: ReadonlyMap<string, string>,
  endpoints: readonly Endpoint[],
  faults: Fault[],
): Pick<ServerPlan, "tls" | "files" | "keyPassword" | "tlsFirst"> {
  const files = {
    root: given.get("sslrootcert") ?? "",
    certificate: given.get("sslcert") ?? "",
    key: given.get("sslkey") ?? "",
  };
  if ((files.certificate === "") !== (files.key === "")) faults.push(error(FIELD, "both sslcert and sslkey, or none"));
  const mode = given.get("sslmode") ?? "prefer";
  const levels = TLS_LEVELS[mode];
  if (levels === undefined) faults.push(error(FIELD, `sslmode=${Object.keys(TLS_LEVELS).join(", ")}`));
  const negotiation = given.get("sslnegotiation") ?? "postgres";
  if (negotiation !== "postgres" && negotiation !== "direct")
    faults.push(error(FIELD, "sslnegotiation=postgres or direct"));
  // An authority that is named is meant to be asked, as with libpq.
  const tls = mode === "require" && files.root !== "" ? (["authority"] as const) : (levels ?? []);
  return {
    tls: isLocal(endpoints) ? ["none"] : tls,
    files,
    keyPassword: given.get("sslpassword") ?? "",
    tlsFirst: negotiation === "direct",
  };
}

function sessionOf(given: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const names = [...given.keys()].filter((name) => !KNOWN.has(name) && !(name in IDLE) && !(name in REFUSED));
  return Object.fromEntries(names.map((name) => [name, given.get(name) ?? ""]));
}

function writableOf(given: ReadonlyMap<string, string>, faults: Fault[]): boolean {
  const wanted = given.get("target_session_attrs") ?? "any";
  if (wanted === "any") return false;
  if (wanted !== "read-write" && wanted !== "primary")
    faults.push(error(FIELD, "target_session_attrs=any, read-write or primary", "a state store has to write"));
  return true;
}

function connectMsOf(given: ReadonlyMap<string, string>, faults: Fault[]): number {
  const written = given.get("connect_timeout") ?? "";
  if (written === "" || written === "0") return CONNECT_MS;
  const ms = /^\d{1,6}$/.test(written) ? Number(written) * 1000 : Number.NaN;
  if (!(ms <= CONNECT_MS_MAX)) faults.push(error(FIELD, `connect_timeout in seconds, up to ${CONNECT_MS_MAX / 1000}`));
  return ms;
}

function poolOf(
  given: ReadonlyMap<string, string>,
  settings: ServerSettings,
  cores: number,
  faults: Fault[],
): Pick<ServerPlan, "maxConns" | "idleMs" | "lifetimeMs"> {
  const durationOf = (name: string, fallback: number): number => {
    const written = given.get(name);
    const ms = written === undefined ? fallback : parseGoDuration(written);
    if (ms === null || ms <= 0) faults.push(error(FIELD, `${name} as a duration, as in "30m"`));
    return ms ?? fallback;
  };
  const written = given.get("pool_max_conns");
  const inString = written === undefined ? Math.max(CONNECTIONS_MIN_DEFAULT, cores) : Number(written);
  if (!(Number.isInteger(inString) && inString >= 1 && inString <= CONNECTIONS_MAX))
    faults.push(error(FIELD, `pool_max_conns from 1 to ${CONNECTIONS_MAX}`));
  const { maxConns, connectionMaxIdleTime } = settings;
  return {
    // As Dapr has it: 1 counts as not given (dapr-state-stores.md 3a).
    maxConns: maxConns !== null && maxConns > 1 ? maxConns : inString,
    idleMs: connectionMaxIdleTime || durationOf("pool_max_conn_idle_time", IDLE_MS),
    lifetimeMs: durationOf("pool_max_conn_lifetime", LIFETIME_MS),
  };
}

function preparesOf(given: ReadonlyMap<string, string>, settings: ServerSettings, faults: Fault[]): boolean {
  const inString = given.get("default_query_exec_mode") ?? "";
  if (!QUERY_EXEC_MODES.some((mode) => mode === inString))
    faults.push(error(FIELD, `default_query_exec_mode=${QUERY_EXEC_MODES.filter(Boolean).join(", ")}`));
  const mode = settings.queryExecMode === "" ? inString : settings.queryExecMode;
  return mode === "" || mode === "cache_statement";
}

function error(field: string, want: string, hint: string | null = null): Fault {
  return { severity: "error", field, got: null, want, hint };
}
