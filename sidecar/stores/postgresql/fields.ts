// The metadata fields of state.postgresql, version by version (dapr-state-stores.md 3a and 4a). Knows no client library.
import { duration, type FieldTable, flag, pattern, text, whole, word } from "#crds/fields.ts";
import { TABLE_NAME, TABLE_NAME_WANT, TABLE_PREFIX, TABLE_PREFIX_WANT } from "./names.ts";
import { type SignInSettings, signInFields } from "./sign-in-fields.ts";

/** How pgx words the ways to send a statement; "" is its default, cache_statement. */
export type QueryExecMode = "" | "cache_statement" | "cache_describe" | "describe_exec" | "exec" | "simple_protocol";
export const QUERY_EXEC_MODES: readonly QueryExecMode[] = [
  "",
  "cache_statement",
  "cache_describe",
  "describe_exec",
  "exec",
  "simple_protocol",
];

/** What both versions have. */
export interface ServerSettings extends SignInSettings {
  readonly connectionString: string;
  readonly host: string;
  readonly hostaddr: string;
  readonly port: string;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly sslRootCert: string;
  /** Milliseconds; null when not given. */
  readonly connectionMaxIdleTime: number | null;
  readonly maxConns: number | null;
  readonly queryExecMode: QueryExecMode;
  /** Milliseconds. */
  readonly timeout: number;
  /** Milliseconds; zero and below: off. */
  readonly cleanupInterval: number;
  readonly metadataTableName: string;
}

export interface V1Settings extends ServerSettings {
  readonly tableName: string;
  readonly lossyValues: boolean;
  readonly tablePrefix: string | null;
}

export interface V2Settings extends ServerSettings {
  readonly tablePrefix: string;
  readonly tableName: string | null;
}

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const TIMEOUT_MS = 20_000;
const TIMEOUT_MS_MIN = 1000;
export const CONNECTIONS_MAX = 1000;

const server: FieldTable<ServerSettings> = {
  connectionString: text({
    fallback: "",
    secret: true,
    aliases: ["url"],
    doc: "`postgres://user:password@host:5432/database?sslmode=require`, or `host=… user=… password=… dbname=…`.",
  }),
  host: text({
    fallback: "",
    shownDefault: "that of `connectionString`",
    doc: "Host, or several with commas. One is needed, here or there.",
  }),
  hostaddr: text({
    fallback: "",
    doc: "Address of the host, when its name is not to be looked up; TLS still checks the name.",
  }),
  port: text({ fallback: "", shownDefault: "that of `connectionString`, else `5432`", doc: "Port." }),
  database: text({ fallback: "", shownDefault: "that of `connectionString`, else the user's name", doc: "Database." }),
  user: text({
    fallback: "",
    shownDefault: "that of `connectionString`",
    doc: "User. One is needed, here or there.",
  }),
  password: text({ fallback: "", shownDefault: "that of `connectionString`", secret: true, doc: "Password." }),
  sslRootCert: text({
    fallback: "",
    shownDefault: "`sslrootcert` of `connectionString`",
    doc: "Path of the file with the authorities that may sign the server's certificate.",
  }),
  connectionMaxIdleTime: duration<number | null>({
    fallback: null,
    shownDefault: "`30m`",
    bare: "seconds",
    min: 0,
    max: YEAR_MS,
    doc: "A connection that was idle for so long is closed.",
  }),
  maxConns: whole<number | null>({
    fallback: null,
    shownDefault: "one per core, 4 at least",
    min: -CONNECTIONS_MAX,
    max: CONNECTIONS_MAX,
    doc: "Most connections of this sidecar; 0, 1 and below mean the default.",
  }),
  queryExecMode: word<QueryExecMode>({
    fallback: "",
    shownDefault: "`cache_statement`",
    words: QUERY_EXEC_MODES,
    doc: "How statements are sent: `cache_statement` prepares them once per connection; all others never do, which a pooler in transaction mode needs.",
  }),
  timeout: duration<number>({
    fallback: TIMEOUT_MS,
    bare: "seconds",
    min: TIMEOUT_MS_MIN,
    max: HOUR_MS,
    aliases: ["timeoutInSeconds"],
    doc: "Longest that a request waits for its answer, for a connection included; at least one second.",
  }),
  cleanupInterval: duration<number>({
    fallback: HOUR_MS,
    bare: "seconds",
    min: -YEAR_MS,
    max: YEAR_MS,
    aliases: ["cleanupIntervalInSeconds"],
    doc: "How often expired rows are removed; zero or less: never. Expired rows are not served either way.",
  }),
  metadataTableName: pattern<string>({
    fallback: "dapr_metadata",
    shape: TABLE_NAME,
    want: TABLE_NAME_WANT,
    doc: "Table of the layout's version and of the last cleanup. Several stores may share it.",
  }),
  ...signInFields,
};

export const v1Fields: FieldTable<V1Settings> = {
  ...server,
  tableName: pattern<string>({
    fallback: "state",
    shape: TABLE_NAME,
    want: TABLE_NAME_WANT,
    doc: "Table of the values, as `state`, or as `schema.state` when its schema is not in the search path.",
  }),
  lossyValues: flag({
    fallback: false,
    doc: "Take values that `jsonb` changes: `-0` becomes `0`, a lone surrogate the replacement character. Pannier's own.",
  }),
  tablePrefix: text<null>({ fallback: null, doc: "Of version v2.", ignored: "version v1 has tableName" }),
};

export const v2Fields: FieldTable<V2Settings> = {
  ...server,
  tablePrefix: pattern<string>({
    fallback: "",
    shape: TABLE_PREFIX,
    want: TABLE_PREFIX_WANT,
    doc: "What stands before `state` in the name of the table of the values, as `orders_`, `schema.` or `schema.orders_`.",
  }),
  tableName: text<null>({ fallback: null, doc: "Of version v1.", ignored: "version v2 has tablePrefix" }),
};
