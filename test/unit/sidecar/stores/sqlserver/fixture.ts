// What the tests of the SQL Server driver share: a store opened as the sidecar opens it, over a server that speaks TDS and
// answers what a test says.
import type { Log } from "#kit/log.ts";
import { driver } from "#sidecar/stores/sqlserver/sqlserver.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { type TdsAnswer, type TdsOptions, type TdsRequest, TdsServer } from "#test/servers/tds/tds-server.ts";
import { decode, type Fields, type Opening, ofVersion, open } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export { type Fields, listeningLog } from "#test/stores/opening.ts";
export * from "#test/stores/requests.ts";

export type Version = "v1" | "v2";

export function prepare(fields: Fields, version: Version = "v1"): PreparedStore {
  return decode(ofVersion(driver, version), fields);
}

export interface SqlServerOpening extends Opening {
  readonly fields: Fields;
  readonly version?: Version;
}

export function openStore({ fields, version, ...opening }: SqlServerOpening): Promise<Store> {
  return open(prepare(fields, version), opening);
}

/** A connection string for the server, which knows no encryption. */
export function connectionTo(port: number): string {
  return `Server=127.0.0.1;Port=${port};User Id=app;Password=secret-password;encrypt=disable`;
}

type Column = readonly [name: string, type: string, length: number | null, collation: string | null];

const BINARY = "Latin1_General_100_BIN2";
const REST: readonly Column[] = [
  ["InsertDate", "datetime2", null, null],
  ["UpdateDate", "datetime2", null, null],
  ["ExpireDate", "datetime2", null, null],
  ["RowVersion", "timestamp", null, null],
];
const DATA: Column = ["Data", "nvarchar", -1, BINARY];

export const KEY: Column = ["Key", "nvarchar", 200, BINARY];
export const V1: readonly Column[] = [KEY, DATA, ...REST];
export const V2: readonly Column[] = [
  KEY,
  DATA,
  ["BinaryData", "varbinary", -1, null],
  ["isBinary", "bit", null, null],
  ...REST,
];
export const METADATA: readonly Column[] = [
  ["Key", "nvarchar", 200, BINARY],
  ["Value", "nvarchar", -1, BINARY],
];

/** What the server says when it is asked for the columns of a table; null for another question. */
export function columnsAnswer(
  { text, values }: TdsRequest,
  tables: Readonly<Record<string, readonly Column[]>>,
): TdsAnswer | null {
  if (!text.includes("INFORMATION_SCHEMA.COLUMNS")) return null;
  return {
    columns: [
      { name: "Name", type: "nvarchar" },
      { name: "Type", type: "nvarchar" },
      { name: "Length", type: "int" },
      { name: "Collation", type: "nvarchar" },
    ],
    rows: tables[String(values.Table)] ?? [],
  };
}

export function changed(count: number): TdsAnswer {
  return { columns: [{ name: "Changed", type: "int" }], rows: [[count]] };
}

export const ROW_V1: readonly { readonly name: string; readonly type: "nvarchar" | "binary" | "bigint" }[] = [
  { name: "Data", type: "nvarchar" },
  { name: "RowVersion", type: "binary" },
  { name: "Expires", type: "bigint" },
];

export const VERSION: Buffer = Buffer.from("00000000000007d1", "hex");
export const ETAG = "00000000000007d1";

export interface Bench {
  readonly server: TdsServer;
  readonly store: Store;
  /** What was asked since the store is open. */
  requests(): readonly TdsRequest[];
  stop(): Promise<void>;
}

export interface BenchOptions {
  readonly answer?: (request: TdsRequest) => TdsAnswer | null;
  readonly login?: TdsOptions["login"];
  readonly version?: Version;
  readonly fields?: Fields;
  readonly columns?: readonly Column[];
  readonly log?: Log;
}

/** A store over tables that are there. */
export async function openBench(options: BenchOptions = {}): Promise<Bench> {
  const { version = "v1", fields = {}, log, login } = options;
  const columns = options.columns ?? (version === "v1" ? V1 : V2);
  const server = await TdsServer.start({
    answer: (request) => {
      // What a connection sets up for itself is none of a test's requests.
      if (request.text.startsWith("SET XACT_ABORT")) return null;
      return columnsAnswer(request, { state: columns, dapr_metadata: METADATA }) ?? options.answer?.(request) ?? null;
    },
    ...(login === undefined ? {} : { login }),
  });
  const all = { connectionString: connectionTo(server.port), ...fields };
  try {
    const store = await openStore({ fields: all, version, ...(log === undefined ? {} : { log }) });
    const from = server.requests.length;
    return {
      server,
      store,
      // A pool may set up more connections at any time.
      requests: () => server.requests.slice(from).filter(({ text }) => !text.startsWith("SET XACT_ABORT")),
      stop: async () => {
        await store.close();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
