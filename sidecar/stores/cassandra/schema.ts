// The keyspace and the table: looked for first, so that a user without the right to make them can use what is there.
import { StoreError } from "../store.ts";
import type { CassandraClient, Statement } from "./client.ts";
import { ANY_NODE } from "./levels.ts";
import {
  addEtagColumn,
  createKeyspace,
  createTable,
  type Place,
  SELECT_COLUMNS,
  SELECT_KEYSPACE,
  SELECT_MUTATION_LIMIT,
} from "./statements.ts";

export interface SchemaWanted extends Place {
  readonly replicationFactor: number;
  readonly etags: boolean;
}

/** Column by its name: its place in the key, and its type. */
type Columns = ReadonlyMap<string, { readonly kind: string; readonly type: string }>;

const VALUE_COLUMNS = { key: { kind: "partition_key", type: "text" }, value: { kind: "regular", type: "blob" } };
const ETAG_COLUMN = { etag: { kind: "regular", type: "text" } };

/** Makes what is missing. Rejects with a StoreError; a table with other columns is `refused`. */
export async function ensureSchema(client: CassandraClient, wanted: SchemaWanted, signal: AbortSignal): Promise<void> {
  let columns = await columnsOf(client, wanted, signal);
  if (columns.size === 0) {
    const { keyspace, replicationFactor } = wanted;
    const found = await client.execute(look(SELECT_KEYSPACE, [keyspace]), signal);
    if (found.rowLength === 0) await agreed(client, createKeyspace(keyspace, replicationFactor), signal);
    await agreed(client, createTable(wanted), signal);
    columns = await columnsOf(client, wanted, signal);
  }
  if (wanted.etags && !columns.has("etag")) columns = await withEtagColumn(client, wanted, signal);
  mustFit(columns, wanted);
}

/** Of several sidecars that add the column at once, one succeeds. */
async function withEtagColumn(client: CassandraClient, place: Place, signal: AbortSignal): Promise<Columns> {
  try {
    await agreed(client, addEtagColumn(place), signal);
  } catch (error) {
    const columns = await columnsOf(client, place, signal);
    if (!columns.has("etag")) throw error;
    return columns;
  }
  return columnsOf(client, place, signal);
}

async function agreed(client: CassandraClient, change: string, signal: AbortSignal): Promise<void> {
  if (await client.change(change, signal)) return;
  throw new StoreError("unavailable", "the nodes of cassandra do not agree on the schema");
}

async function columnsOf(client: CassandraClient, { keyspace, table }: Place, signal: AbortSignal): Promise<Columns> {
  const { rows } = await client.execute(look(SELECT_COLUMNS, [keyspace, table]), signal);
  return new Map(rows.map((row) => [String(row.column_name), { kind: String(row.kind), type: String(row.type) }]));
}

function mustFit(columns: Columns, { keyspace, table, etags }: SchemaWanted): void {
  for (const [name, { kind, type }] of Object.entries(etags ? { ...VALUE_COLUMNS, ...ETAG_COLUMN } : VALUE_COLUMNS)) {
    const found = columns.get(name);
    if (found?.kind === kind && found.type === type) continue;
    const got = found === undefined ? "no such column" : `${found.kind} ${found.type}`;
    throw new StoreError(
      "refused",
      `table ${keyspace}.${table} has for column ${name} ${got}, want ${kind} ${type}: name another table`,
    );
  }
  const more = [...columns].filter(([name, { kind }]) => name !== "key" && /^(partition_key|clustering)$/.test(kind));
  if (more.length === 0) return;
  throw new StoreError("refused", `the key of table ${keyspace}.${table} has more than the column key`);
}

/** Most bytes of a write; null where the server does not say, before version 4 or for want of a right. */
export async function mutationBytesMax(client: CassandraClient, signal: AbortSignal): Promise<number | null> {
  try {
    const result = await client.execute(look(SELECT_MUTATION_LIMIT, []), signal);
    const [, count = "", unit = ""] = /^(\d+)(B|KiB|MiB|GiB)$/.exec(String(result.first()?.value)) ?? [];
    const scale = ["B", "KiB", "MiB", "GiB"].indexOf(unit);
    return scale < 0 ? null : Number(count) * 1024 ** scale;
  } catch (error) {
    // It is asked for to save a caller's time, and a server that is away will tell the next request.
    if (error instanceof StoreError) return null;
    throw error;
  }
}

function look(text: string, parameters: readonly string[]): Statement {
  return { text, parameters, level: ANY_NODE, kind: "read" };
}
