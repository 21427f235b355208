// The metadata fields of state.mysql (dapr-state-stores.md 6a). Knows no client library.
import { duration, type FieldTable, flag, pattern, text, whole } from "#crds/fields.ts";

export interface MysqlSettings {
  readonly connectionString: string;
  readonly schemaName: string;
  readonly tableName: string;
  readonly metadataTableName: string;
  /** Seconds; zero and below: the default. */
  readonly timeoutInSeconds: number;
  readonly pemPath: string;
  readonly pemContents: string;
  /** Milliseconds; zero and below: off. */
  readonly cleanupInterval: number;
  readonly maxConns: number;
  readonly lossyValues: boolean;
}

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
export const TIMEOUT_SEC = 20;
const TIMEOUT_SEC_MAX = 3600;
const CONNECTIONS = 10;
export const CONNECTIONS_MAX = 1000;

/** What Dapr takes, as long as the server's names may be. */
const NAME = /^[0-9A-Za-z_]{1,64}$/;
const NAME_WANT = "1 to 64 ASCII letters, digits and underscores";

export const fields: FieldTable<MysqlSettings> = {
  connectionString: text<string>({
    fallback: "",
    required: true,
    secret: true,
    doc: "`user:password@tcp(host:3306)/?tls=true`, without a schema.",
  }),
  schemaName: pattern<string>({
    fallback: "dapr_state_store",
    shape: NAME,
    want: NAME_WANT,
    doc: "Schema (database) of the tables; made when it is not there.",
  }),
  tableName: pattern<string>({ fallback: "state", shape: NAME, want: NAME_WANT, doc: "Table of the values." }),
  metadataTableName: pattern<string>({
    fallback: "dapr_metadata",
    shape: NAME,
    want: NAME_WANT,
    doc: "Table of the last cleanup; may be shared by several stores.",
  }),
  timeoutInSeconds: whole<number>({
    fallback: TIMEOUT_SEC,
    min: -TIMEOUT_SEC_MAX,
    max: TIMEOUT_SEC_MAX,
    doc: "Longest that a request waits for its answer, for a connection included; zero and below: the default.",
  }),
  pemPath: text<string>({
    fallback: "",
    doc: "Path of the file with the authorities that may sign the server's certificate; with it TLS is spoken.",
  }),
  pemContents: text<string>({ fallback: "", doc: "The same authorities as PEM text, in place of `pemPath`." }),
  cleanupInterval: duration<number>({
    fallback: HOUR_MS,
    bare: "seconds",
    min: -YEAR_MS,
    max: YEAR_MS,
    aliases: ["cleanupIntervalInSeconds"],
    doc: "How often expired rows are removed; zero or less: never. Expired rows are not served either way.",
  }),
  maxConns: whole<number>({
    fallback: CONNECTIONS,
    min: 1,
    max: CONNECTIONS_MAX,
    doc: "Most connections of this sidecar. Pannier's own.",
  }),
  lossyValues: flag({
    fallback: false,
    doc: "Take values that the JSON type of MySQL changes: numbers are rounded, `-0` becomes `0`. Pannier's own.",
  }),
};
