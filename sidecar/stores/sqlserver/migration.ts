// Makes the database, the schema and the tables, or completes those of an older Dapr, as Dapr does it without a lock, so
// that both may start at the same moment (dapr-state-stores.md 8b). Looks first: a server that takes no writes can still
// serve reads. Dapr's procedure and its table type are not made: Dapr makes what it misses by itself.
import { StoreError } from "../store.ts";
import { isMadeElsewhere } from "./failures.ts";
import type { KeyType } from "./fields.ts";
import { computedColumn, type IndexedProperty } from "./indexed-properties.ts";
import { definitionOf, type FoundColumn, type KeyColumn, keyColumnOf } from "./keys.ts";
import type { ValueColumn, Version } from "./layout.ts";
import type { Row, Session } from "./session.ts";
import { bracket, type Statement, type TableNames, tableOf } from "./statements.ts";

export interface Wanted {
  readonly version: Version;
  readonly names: TableNames;
  readonly keyType: KeyType;
  /** Characters. */
  readonly keyLength: number;
  readonly value: ValueColumn;
  readonly indexed: readonly IndexedProperty[];
}

export interface Prepared {
  readonly key: KeyColumn;
  /** Of the key's column; null where it is no text. */
  readonly collation: string | null;
  /** The metadata table can hold the row of the last cleanup: its keys are texts. */
  readonly keepsLastCleanup: boolean;
}

type Columns = ReadonlyMap<string, FoundColumn>;

/** `session` is one in another database. */
export async function makeDatabase(session: Session, database: string): Promise<void> {
  await change(session, `CREATE DATABASE ${bracket(database)};`);
}

/** Rejects with a StoreError when the table is none of the version's layout. */
export async function migrate(session: Session, wanted: Wanted): Promise<Prepared> {
  const { names } = wanted;
  const schema = `IF SCHEMA_ID(N'${names.schema}') IS NULL EXEC(N'CREATE SCHEMA ${bracket(names.schema)}');`;
  const metadata = await orMade(session, names.schema, names.metadata, [schema, createMetadata(names)]);
  let columns = await orMade(session, names.schema, names.state, [createState(wanted)]);
  const steps = stepsFor(wanted, columns);
  for (const step of steps) await change(session, step);
  if (steps.length > 0) columns = await columnsOf(session, names.schema, names.state);
  const key = mustBeLayout(wanted, columns);
  for (const property of wanted.indexed) await change(session, createIndex(names, property));
  const keepsLastCleanup = metadata.get("key")?.type === "nvarchar";
  return { key, collation: columns.get("key")?.collation ?? null, keepsLastCleanup };
}

async function orMade(session: Session, schema: string, table: string, steps: readonly string[]): Promise<Columns> {
  const columns = await columnsOf(session, schema, table);
  if (columns.size > 0) return columns;
  for (const step of steps) await change(session, step);
  return columnsOf(session, schema, table);
}

const COLUMNS: Statement = {
  text: `SELECT COLUMN_NAME AS [Name], DATA_TYPE AS [Type], CHARACTER_MAXIMUM_LENGTH AS [Length], COLLATION_NAME AS [Collation]
    FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = @Schema AND TABLE_NAME = @Table;`,
  lasting: false,
  parameters: [
    ["Schema", "key"],
    ["Table", "key"],
  ],
};

/** The columns by their names in lower case; empty without a table. */
async function columnsOf(session: Session, schema: string, table: string): Promise<Columns> {
  const rows = await session.run(COLUMNS, { Schema: schema, Table: table });
  return new Map(rows.map((row) => [String(row.Name).toLowerCase(), columnOf(row)]));
}

function columnOf({ Type, Length, Collation }: Row): FoundColumn {
  return {
    type: String(Type).toLowerCase(),
    length: typeof Length === "number" ? Length : null,
    collation: typeof Collation === "string" ? Collation : null,
  };
}

function createState({ names, keyType, keyLength, value, indexed }: Wanted): string {
  const columns = [
    `[Key] ${definitionOf(keyType, keyLength)} NOT NULL CONSTRAINT ${bracket(`PK_${names.state}`)} PRIMARY KEY`,
    ...value.definitions,
    "[InsertDate] DATETIME2 NOT NULL DEFAULT(GETDATE())",
    "[UpdateDate] DATETIME2 NULL",
    EXPIRE_DATE,
    ...indexed.map(computedColumn),
    "[RowVersion] ROWVERSION NOT NULL",
  ];
  return `CREATE TABLE ${tableOf(names.schema, names.state)} (${columns.join(", ")});`;
}

const EXPIRE_DATE = "[ExpireDate] DATETIME2 NULL";

/** Its keys are always texts: with Dapr they are of the values' keyType, which cannot hold the one that it writes. */
function createMetadata({ schema, metadata }: TableNames): string {
  const key = `[Key] NVARCHAR(200) NOT NULL CONSTRAINT ${bracket(`PK_${metadata}`)} PRIMARY KEY`;
  return `CREATE TABLE ${tableOf(schema, metadata)} (${key}, [Value] NVARCHAR(MAX) NOT NULL);`;
}

function createIndex({ schema, state }: TableNames, { column }: IndexedProperty): string {
  const index = `IX_${column}`;
  const table = tableOf(schema, state);
  return `IF INDEXPROPERTY(OBJECT_ID(N'${table}'), N'${index}', 'IndexID') IS NULL CREATE INDEX ${bracket(index)} ON ${table} (${bracket(column)});`;
}

function stepsFor(wanted: Wanted, columns: Columns): readonly string[] {
  // What is no table of this layout is left as it is.
  if (missingIn(wanted, columns).some((column) => column !== "ExpireDate")) return [];
  const table = tableOf(wanted.names.schema, wanted.names.state);
  const added = [
    ...(columns.has("expiredate") ? [] : [EXPIRE_DATE]),
    ...wanted.indexed.filter(({ column }) => !columns.has(column.toLowerCase())).map(computedColumn),
  ];
  return added.map((definition) => `ALTER TABLE ${table} ADD ${definition};`);
}

function missingIn({ value }: Wanted, columns: Columns): readonly string[] {
  const needed = ["Key", ...value.columns, "InsertDate", "UpdateDate", "ExpireDate", "RowVersion"];
  return needed.filter((column) => !columns.has(column.toLowerCase()));
}

function mustBeLayout(wanted: Wanted, columns: Columns): KeyColumn {
  const { version, names, keyType, keyLength } = wanted;
  const missing = missingIn(wanted, columns);
  const isOfV2 = columns.has("isbinary");
  if (version === "v1" && isOfV2) throw otherTable(names, "it is of version v2, whose raw bytes v1 cannot read");
  if (version === "v2" && !isOfV2 && columns.has("data")) throw otherTable(names, "it is of version v1");
  if (missing.length > 0) throw otherTable(names, `it has no column ${missing.join(", ")}`);
  const found = columns.get("key");
  const key = found === undefined ? null : keyColumnOf(keyType, keyLength, found);
  if (key === null) throw otherTable(names, `its column Key is of the type ${found?.type}, and keyType is ${keyType}`);
  return key;
}

function otherTable({ schema, state }: TableNames, why: string): StoreError {
  return new StoreError(
    "corrupt",
    `the table ${schema}.${state} is not in the layout of state.sqlserver: ${why}. Name another table`,
  );
}

/** What another sidecar has made in the meantime is as good; the next look tells. */
async function change(session: Session, text: string): Promise<void> {
  try {
    // Not lasting: what a lost connection leaves behind is found and finished by the next opening.
    await session.run({ text, lasting: false, parameters: [] });
  } catch (error) {
    if (!isMadeElsewhere(error)) throw error;
  }
}
