// A second client for Spanner, which knows its messages and nothing of the driver: what a test looks into the table by, and
// writes rows by that somebody else could have written.
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { GetOperationRequest, Operation } from "#proto/gen/clients/google/longrunning/operations.ts";
import { UpdateDatabaseDdlRequest } from "#proto/gen/clients/google/spanner/admin/database/v1/spanner_database_admin.ts";
import {
  CommitRequest,
  CommitResponse,
  CreateSessionRequest,
  ExecuteSqlRequest,
  PartialResultSet,
  Session,
} from "#proto/gen/clients/google/spanner/v1/spanner.ts";
import type { ListValue, Value } from "#proto/gen/clients/google/well_known.ts";
import { openCredentials } from "#sidecar/stores/google/credentials.ts";

type Cell = string | null;

interface Message<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

const DDL_PAUSE_MS = 50;
const READ_WRITE: CommitRequest["transaction"] = {
  $case: "singleUseTransaction",
  singleUseTransaction: {
    mode: { $case: "readWrite", readWrite: { multiplexedSessionPreviousTransactionId: new Uint8Array(0) } },
  },
};

export class SpannerClient {
  readonly #database: string;
  readonly #channel: Client;
  readonly #headers: Metadata;
  #session = "";

  private constructor(database: string, channel: Client, headers: Metadata) {
    this.#database = database;
    this.#channel = channel;
    this.#headers = headers;
  }

  /** `metadata` as the Component has it: with an endpoint it is the fake, without one the service. */
  static async open(metadata: Readonly<Record<string, string>>): Promise<SpannerClient> {
    const { project_id, instance_id, database_id, endpoint } = metadata;
    const database = `projects/${project_id}/instances/${instance_id}/databases/${database_id}`;
    const headers = new Metadata();
    if (endpoint === undefined)
      for (const [name, value] of await (await openCredentials(null)).headers()) headers.set(name, value);
    const channel = new Client(
      endpoint ?? "spanner.googleapis.com:443",
      endpoint === undefined ? credentials.createSsl() : credentials.createInsecure(),
    );
    const client = new SpannerClient(database, channel, headers);
    const request = { database, session: { name: "", multiplexed: true } };
    const { name } = await client.#ask("spanner.v1.Spanner/CreateSession", CreateSessionRequest, Session, request);
    client.#session = name;
    return client;
  }

  /** Runs a query; values as Spanner writes them in JSON: bytes in base64, numbers of INT64 as text. */
  async sql(sql: string): Promise<readonly (readonly Cell[])[]> {
    const stream = this.#channel.makeServerStreamRequest(
      "/google.spanner.v1.Spanner/ExecuteStreamingSql",
      (each: ExecuteSqlRequest) => Buffer.from(ExecuteSqlRequest.encode(each).finish()),
      (bytes: Buffer) => PartialResultSet.decode(bytes),
      { session: this.#session, transaction: undefined, sql },
      this.#headers,
    );
    const cells: Cell[] = [];
    let width = 1;
    for await (const part of stream as AsyncIterable<PartialResultSet>) {
      width = part.metadata?.rowType?.fields.length ?? width;
      cells.push(...part.values.map(cellOf));
    }
    return Array.from({ length: cells.length / width }, (_, row) => cells.slice(row * width, (row + 1) * width));
  }

  /** Writes rows, whatever was there. */
  async put(table: string, columns: readonly string[], rows: readonly (readonly Cell[])[]): Promise<void> {
    const insertOrUpdate = { table, columns: [...columns], values: rows.map(listOf) };
    await this.#ask("spanner.v1.Spanner/Commit", CommitRequest, CommitResponse, {
      session: this.#session,
      transaction: READ_WRITE,
      mutations: [{ operation: { $case: "insertOrUpdate", insertOrUpdate } }],
      precommitToken: undefined,
    });
  }

  /** Changes the schema, and waits until that is done. */
  async ddl(statement: string): Promise<void> {
    const method = "spanner.admin.database.v1.DatabaseAdmin/UpdateDatabaseDdl";
    const request = { database: this.#database, statements: [statement] };
    let operation = await this.#ask(method, UpdateDatabaseDdlRequest, Operation, request);
    const { name } = operation;
    while (!operation.done) {
      await new Promise((resolve) => setTimeout(resolve, DDL_PAUSE_MS));
      operation = await this.#ask("longrunning.Operations/GetOperation", GetOperationRequest, Operation, { name });
    }
    if (operation.error !== undefined) throw new Error(operation.error.message);
  }

  close(): void {
    this.#channel.close();
  }

  #ask<I, O>(method: string, request: Message<I>, response: Message<O>, message: I): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#channel.makeUnaryRequest(
        `/google.${method}`,
        (each: I) => Buffer.from(request.encode(each).finish()),
        (bytes: Buffer) => response.decode(bytes),
        message,
        this.#headers,
        (error, answer) => (error === null && answer !== undefined ? resolve(answer) : reject(error)),
      );
    });
  }
}

function cellOf({ kind }: Value): Cell {
  switch (kind?.$case) {
    case "stringValue":
      return kind.stringValue;
    case "numberValue":
      return String(kind.numberValue);
    case "boolValue":
      return String(kind.boolValue);
    default:
      return null;
  }
}

function listOf(row: readonly Cell[]): ListValue {
  const values = row.map(
    (cell): Value => ({
      kind: cell === null ? { $case: "nullValue", nullValue: 0 } : { $case: "stringValue", stringValue: cell },
    }),
  );
  return { values };
}
