// The metadata fields of state.sqlite (dapr-state-stores.md 7a). Knows neither the database nor its client.
import { duration, type FieldTable, flag, pattern, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { readConnectionString } from "./connection-string.ts";

export interface SqliteSettings {
  readonly connectionString: string;
  /** Milliseconds. */
  readonly timeout: number;
  /** Milliseconds; zero and below: do not wait. */
  readonly busyTimeout: number;
  readonly disableWAL: boolean;
  readonly tableName: string;
  readonly metadataTableName: string;
  /** Milliseconds; zero and below: off. */
  readonly cleanupInterval: number;
}

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const IDENTIFIER = { shape: /^[0-9A-Za-z_]+$/, want: "a name of one or more ASCII letters, digits and underscores" };

export const fields: FieldTable<SqliteSettings> = {
  connectionString: text<string>({
    fallback: "",
    required: true,
    aliases: ["url"],
    doc: "Path of the database file, as `data/state.db` or `file:data/state.db?mode=ro`; `:memory:` for none.",
  }),
  timeout: duration<number>({
    fallback: 20_000,
    bare: "seconds",
    min: 1000,
    max: HOUR_MS,
    aliases: ["timeoutInSeconds"],
    doc: "Longest that a request waits for its answer, queue included; at least one second.",
  }),
  busyTimeout: duration<number>({
    fallback: 2000,
    bare: "seconds",
    min: -HOUR_MS,
    max: HOUR_MS,
    doc: "Longest wait for a lock that another process holds; zero or less: none. Cut to whole milliseconds.",
  }),
  disableWAL: flag({
    fallback: false,
    doc: "Use a rollback journal in place of a write-ahead log, as network file systems need; reads then wait for writes.",
  }),
  tableName: pattern<string>({ ...IDENTIFIER, fallback: "state", doc: "Table of the values." }),
  metadataTableName: pattern<string>({
    ...IDENTIFIER,
    fallback: "metadata",
    doc: "Table of the layout's version and of the last cleanup.",
  }),
  cleanupInterval: duration<number>({
    fallback: 0,
    shownDefault: "off",
    bare: "seconds",
    min: -YEAR_MS,
    max: YEAR_MS,
    aliases: ["cleanupIntervalInSeconds"],
    doc: "How often expired rows are removed from the file; zero or less: never. Expired rows are not served either way.",
  }),
};

/** Faults that no field shows alone: inside the connection string, and between fields. */
export function checkSettings(settings: Readonly<SqliteSettings>): readonly Fault[] {
  const faults = [...readConnectionString(settings.connectionString).faults];
  if (settings.tableName.toLowerCase() === settings.metadataTableName.toLowerCase()) {
    faults.push({
      severity: "error",
      field: "metadataTableName",
      got: settings.metadataTableName,
      want: "another name than tableName has",
      hint: "the two tables have different columns; names of tables do not differ by case",
    });
  }
  if (settings.busyTimeout >= settings.timeout) {
    faults.push({
      severity: "warning",
      field: "busyTimeout",
      got: `${settings.busyTimeout}ms`,
      want: `less than timeout, which is ${settings.timeout}ms`,
      hint: "a locked file otherwise shows as a timeout, which leaves open whether the write happened",
    });
  }
  return faults;
}
