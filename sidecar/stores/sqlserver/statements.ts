// The statements of a store, written once for its tables. Values only ever come as parameters; names of schemas, tables and
// columns are checked with the fields. Knows no connection.
import { StoreError } from "../store.ts";
import type { KeyColumn } from "./keys.ts";
import type { ValueColumn } from "./layout.ts";

/** Which type of the server's a parameter is sent as; one for all values, so that a statement has one plan. */
export type ParameterKind =
  /** NVARCHAR(4000) */
  | "key"
  /** NVARCHAR(MAX) */
  | "text"
  /** VARBINARY(MAX) */
  | "bytes"
  /** BINARY(8) */
  | "version"
  /** INT */
  | "whole"
  /** BIT */
  | "flag";

export type Parameters = readonly (readonly [name: string, kind: ParameterKind])[];

export interface Statement {
  readonly text: string;
  /** It takes effect by itself, not only with a later COMMIT. */
  readonly lasting: boolean;
  readonly parameters: Parameters;
}

export interface TableNames {
  readonly schema: string;
  readonly state: string;
  readonly metadata: string;
}

export interface Statements {
  /** Key. Columns of a row: those of the value, RowVersion, Expires. */
  readonly get: Statement;
  /** Key0, Key1 and so on, as many as `keysPadded` gives. The same and Key. Also for keys that only compare equal. */
  readonly getMany: (keys: number) => Statement;
  /** Key, value, TTL. Error 2627 where the key of the row only compares equal. */
  readonly put: Statement;
  /** The same; Changed is 0 where a live row is. */
  readonly create: Statement;
  /** Key, value, TTL, RowVersion. Changed. */
  readonly replace: Statement;
  /** Key. */
  readonly remove: Statement;
  /** Key, RowVersion. Changed. */
  readonly removeIf: Statement;
  readonly ping: Statement;
  /** Keys. Locks their rows, and the gaps where there are none, and gives Key, RowVersion, Live. Only until COMMIT. */
  readonly take: (keys: number) => Statement;
  /** Key, value and TTL of each row, with its number behind the names. Only with a later COMMIT. */
  readonly putAll: (rows: number) => Statement;
  /** Keys. Only with a later COMMIT. */
  readonly removeAll: (keys: number) => Statement;
  /** Seconds and the milliseconds beyond them. Changed is 0 when another sidecar has cleaned up within them. */
  readonly claimCleanup: Statement;
  /** Removes some expired rows. Changed. */
  readonly cleanup: Statement;
}

/** Expired rows that one statement removes; the server locks a whole table from 5000 rows of one statement on. */
export const CLEANUP_ROWS_MAX = 4000;

/** As with Dapr by the server's local time, to the 100 ns that the column holds. */
export const LIVE = "([ExpireDate] IS NULL OR [ExpireDate] > SYSDATETIME())";
const EXPIRY = "DATEADD(SECOND, @TTL, SYSDATETIME())";
/** Milliseconds since 1970 UTC. */
const EXPIRES =
  "DATEDIFF_BIG(MILLISECOND, '19700101', [ExpireDate]) - 60000 * DATEPART(TZOFFSET, SYSDATETIMEOFFSET()) AS [Expires]";
const VERSION = "CONVERT(BINARY(8), [RowVersion]) AS [RowVersion]";
const CHANGED = "SELECT @@ROWCOUNT AS [Changed];";
const LOCKED = "WITH (UPDLOCK, HOLDLOCK)";

const KEY: Parameters[number] = ["Key", "key"];
const ROW_VERSION: Parameters[number] = ["RowVersion", "version"];

export function statementsFor(names: TableNames, key: KeyColumn, value: ValueColumn): Statements {
  const state = tableOf(names.schema, names.state);
  const row = [...value.columns.map(bracket), VERSION, EXPIRES].join(", ");
  const same = key.same("@Key");
  const update = (ofRow: string): string => updateOf(state, key, value, ofRow);
  const written: Parameters = [KEY, ...value.parameters, ["TTL", "whole"]];
  const keys = keysFor(key);
  return {
    get: reading(`SELECT ${row} FROM ${state} WHERE ${same} AND ${LIVE};`, [KEY]),
    getMany: (count) => {
      const text = `SELECT ${key.selected} AS [Key], ${row} FROM ${state} WHERE [Key] IN (${keys.list(count)}) AND ${LIVE};`;
      return reading(text, keys.parameters(count));
    },
    put: lasting(inTransaction(`${update("")} IF @@ROWCOUNT = 0 ${insertOf(state, key, value, "")};`), written),
    create: lasting(inTransaction(createOf(state, key, value)), written),
    replace: lasting(
      `UPDATE ${state} SET ${assignments(value, "")} WHERE ${same} AND ${LIVE} AND [RowVersion] = @RowVersion; ${CHANGED}`,
      [...written, ROW_VERSION],
    ),
    remove: lasting(`DELETE FROM ${state} WHERE ${same};`, [KEY]),
    removeIf: lasting(`DELETE FROM ${state} WHERE ${same} AND ${LIVE} AND [RowVersion] = @RowVersion; ${CHANGED}`, [
      KEY,
      ROW_VERSION,
    ]),
    ping: reading(`SELECT TOP (1) 1 AS [One] FROM ${state};`, []),
    take: (count) => {
      const found = `${key.selected} AS [Key], ${VERSION}, CASE WHEN ${LIVE} THEN 1 ELSE 0 END AS [Live]`;
      return reading(
        `SELECT ${found} FROM ${state} ${LOCKED} WHERE [Key] IN (${keys.list(count)});`,
        keys.parameters(count),
      );
    },
    putAll: (rows) => {
      const each = (index: number): string =>
        `${update(`${index}`)} IF @@ROWCOUNT = 0 ${insertOf(state, key, value, `${index}`)};`;
      return reading(
        numbers(rows).map(each).join("\n"),
        numbers(rows).flatMap((index) => written.map(([name, kind]) => [`${name}${index}`, kind] as const)),
      );
    },
    removeAll: (count) => {
      const each = (index: number): string => `DELETE FROM ${state} WHERE ${key.same(`@Key${index}`)};`;
      return reading(numbers(count).map(each).join("\n"), keys.parameters(count));
    },
    ...cleaning(state, tableOf(names.schema, names.metadata)),
  };
}

function assignments(value: ValueColumn, ofRow: string): string {
  const values = value.columns.map((column, index) => `${bracket(column)} = @${value.parameters[index]?.[0]}${ofRow}`);
  return [...values, "[UpdateDate] = SYSDATETIME()", `[ExpireDate] = ${EXPIRY.replace("@TTL", `@TTL${ofRow}`)}`].join(
    ", ",
  );
}

/** Locks the key, also where it has no row, until the transaction ends: nobody inserts it in between. */
function updateOf(state: string, key: KeyColumn, value: ValueColumn, ofRow: string): string {
  return `UPDATE ${state} ${LOCKED} SET ${assignments(value, ofRow)} WHERE ${key.same(`@Key${ofRow}`)};`;
}

function insertOf(state: string, key: KeyColumn, value: ValueColumn, ofRow: string): string {
  return `${insertInto(state, value)} VALUES (${inserted(key, value, ofRow)})`;
}

function insertInto(state: string, value: ValueColumn): string {
  return `INSERT INTO ${state} ([Key], ${value.columns.map(bracket).join(", ")}, [ExpireDate])`;
}

function inserted(key: KeyColumn, value: ValueColumn, ofRow: string): string {
  const values = value.parameters.map(([name]) => `@${name}${ofRow}`);
  return [key.parameter(`@Key${ofRow}`), ...values, EXPIRY.replace("@TTL", `@TTL${ofRow}`)].join(", ");
}

/** Overwrites an expired row, or inserts where there is none of this very key. */
function createOf(state: string, key: KeyColumn, value: ValueColumn): string {
  const same = key.same("@Key");
  return [
    `UPDATE ${state} ${LOCKED} SET ${assignments(value, "")} WHERE ${same} AND NOT ${LIVE};`,
    "DECLARE @Changed INT = @@ROWCOUNT;",
    "IF @Changed = 0 BEGIN",
    `${insertInto(state, value)} SELECT ${inserted(key, value, "")}`,
    `WHERE NOT EXISTS (SELECT 1 FROM ${state} ${LOCKED} WHERE ${same});`,
    "SET @Changed = @@ROWCOUNT;",
    "END;",
    "SELECT @Changed AS [Changed];",
  ].join(" ");
}

/** One round trip; XACT_ABORT, which each session has on, undoes all of it when a part fails. */
function inTransaction(text: string): string {
  return `BEGIN TRANSACTION; ${text} COMMIT TRANSACTION;`;
}

/** The last cleanup is written as Dapr does, in local time and style 21. */
function cleaning(state: string, metadata: string): Pick<Statements, "claimCleanup" | "cleanup"> {
  const now = "CONVERT(NVARCHAR(MAX), GETDATE(), 21)";
  const isLast = "[Key] = N'last-cleanup'";
  // A text that is no time counts as long ago.
  const last = "COALESCE(TRY_CONVERT(DATETIME2, [Value], 21), CONVERT(DATETIME2, '19700101'))";
  // 100 ms of grace for a timer that fires early.
  const due = `DATEADD(MILLISECOND, @Milliseconds - 100, DATEADD(SECOND, @Seconds, ${last})) < GETDATE()`;
  const claim = [
    `UPDATE ${metadata} ${LOCKED} SET [Value] = ${now} WHERE ${isLast} AND ${due};`,
    "DECLARE @Changed INT = @@ROWCOUNT;",
    "IF @Changed = 0 BEGIN",
    `INSERT INTO ${metadata} ([Key], [Value]) SELECT N'last-cleanup', ${now}`,
    `WHERE NOT EXISTS (SELECT 1 FROM ${metadata} ${LOCKED} WHERE ${isLast});`,
    "SET @Changed = @@ROWCOUNT;",
    "END;",
    "SELECT @Changed AS [Changed];",
  ].join(" ");
  return {
    claimCleanup: lasting(inTransaction(claim), [
      ["Seconds", "whole"],
      ["Milliseconds", "whole"],
    ]),
    cleanup: lasting(
      `DELETE TOP (${CLEANUP_ROWS_MAX}) FROM ${state} WHERE [ExpireDate] <= SYSDATETIME(); ${CHANGED}`,
      [],
    ),
  };
}

/**
 * How many rows a statement changed, of those that say so as Changed. Throws a StoreError where the answer has no such row:
 * a trigger of somebody else's, for instance, can answer in its place.
 */
export function changedIn(rows: readonly Readonly<Record<string, unknown>>[]): number {
  const changed = rows.find((row) => "Changed" in row)?.Changed;
  if (typeof changed === "number") return changed;
  throw new StoreError(
    "unknown-outcome",
    "sqlserver did not say how many rows it changed; the write may have happened",
  );
}

interface Keys {
  readonly list: (count: number) => string;
  readonly parameters: (count: number) => Parameters;
}

export function keysFor(key: KeyColumn): Keys {
  return {
    list: (count) =>
      numbers(count)
        .map((index) => key.parameter(`@Key${index}`))
        .join(", "),
    parameters: (count) => numbers(count).map((index) => [`Key${index}`, "key"] as const),
  };
}

/** Values for the parameters of {@link keysFor}. */
export function keyValues(keys: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(keys.map((key, index) => [`Key${index}`, key]));
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

export function bracket(name: string): string {
  return `[${name.replaceAll("]", "]]")}]`;
}

export function tableOf(schema: string, table: string): string {
  return `${bracket(schema)}.${bracket(table)}`;
}

function reading(text: string, parameters: Parameters): Statement {
  return { text, lasting: false, parameters };
}

function lasting(text: string, parameters: Parameters): Statement {
  return { text, lasting: true, parameters };
}
