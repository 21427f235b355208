// The operations on one table that the driver uses, as requests of the Table service's REST API, and its answers. Knows no
// key and no layout.
import { answerError, type StorageAnswer, StorageError } from "../azure/storage-failures.ts";
import type { StorageLink } from "../azure/storage-link.ts";
import type { Call } from "../store.ts";
import { batchBody, type Refusal, refusalIn } from "./batch.ts";
import type { Entity } from "./entity.ts";
import type { RowName } from "./row-names.ts";

/** The version of the protocol; Cosmos DB knows no later one. */
export const VERSION = "2019-02-02";
const ACCEPT = "application/json;odata=minimalmetadata";
export const HEADERS: Readonly<Record<string, string>> = {
  "x-ms-version": VERSION,
  DataServiceVersion: "3.0",
  MaxDataServiceVersion: "3.0;NetFx",
  Accept: ACCEPT,
};

/** A change of one row. */
export type Operation =
  /** Writes; null for whatever is there, a text for the row with this ETag. */
  | { readonly kind: "put"; readonly name: RowName; readonly body: Buffer; readonly etag: string | null }
  /** Writes where there is no row. */
  | { readonly kind: "insert"; readonly name: RowName; readonly body: Buffer }
  /** Null for whatever is there. */
  | { readonly kind: "delete"; readonly name: RowName; readonly etag: string | null };

export interface Asked {
  readonly filter: string;
  readonly top: number;
  /** Without it rows have their names only. */
  readonly values: boolean;
  /** Of the page before, where that had no rows. */
  readonly token: Continuation | null;
}

export interface Continuation {
  readonly partition: string;
  readonly row: string;
}

export interface Page {
  readonly rows: readonly Entity[];
  /** Null after the last page. */
  readonly token: Continuation | null;
}

const SUCCESS_LAST = 299;
/** Of a batch with all that belongs to it. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

export class Table {
  readonly #link: StorageLink;
  readonly #base: string;
  readonly #name: string;

  constructor(link: StorageLink, base: URL, name: string) {
    this.#link = link;
    this.#base = base.href.replace(/\/$/, "");
    this.#name = name;
  }

  async get(name: RowName, call: Call): Promise<Entity | null> {
    const answer = await this.#send({ method: "GET", path: this.#of(name) }, call);
    if (isMissing(answer.code)) return null;
    return this.#json(answer);
  }

  /** Whether the table is there, found out by reading a row: it takes no other right. */
  async exists(name: RowName, call: Call): Promise<boolean> {
    const answer = await this.#send({ method: "GET", path: this.#of(name) }, call);
    if (answer.code === "TableNotFound") return false;
    if (answer.status > SUCCESS_LAST && !isMissing(answer.code)) throw answerError(answer, this.#link.server, false);
    return true;
  }

  /** Makes the table; one that is there already stays as it is. */
  async create(call: Call): Promise<void> {
    const body = Buffer.from(JSON.stringify({ TableName: this.#name }));
    const headers = { "Content-Type": "application/json" };
    const answer = await this.#send({ method: "POST", path: "/Tables", headers, body, isWrite: false }, call);
    if (answer.status > SUCCESS_LAST && answer.code !== "TableAlreadyExists")
      throw answerError(answer, this.#link.server, false);
  }

  /** Applies one change. Gives null, or why the service has not applied it where that is a matter of the row. */
  async apply(operation: Operation, call: Call): Promise<Refusal | null> {
    const { method, path, headers, body } = this.requestOf(operation);
    const answer = await this.#send({ method, path, headers, body, isWrite: true }, call);
    if (answer.status <= SUCCESS_LAST) return null;
    return { code: answer.code, at: 0, error: answerError(answer, this.#link.server, true) };
  }

  /** The same for several changes of one partition, of different rows: all are applied, or none. */
  async applyAll(operations: readonly Operation[], boundary: string, call: Call): Promise<Refusal | null> {
    const requests = operations.map((each) => this.requestOf(each));
    const body = batchBody(requests, { base: this.#base, accept: ACCEPT, boundary });
    if (body.length > BATCH_BYTES_MAX)
      throw new StorageError("refused", `a transaction of ${body.length} bytes, want at most ${BATCH_BYTES_MAX}`);
    const headers = { "Content-Type": `multipart/mixed; boundary=batch_${boundary}` };
    const answer = await this.#send({ method: "POST", path: "/$batch", headers, body, isWrite: true }, call);
    if (answer.status > SUCCESS_LAST) throw answerError(answer, this.#link.server, true);
    return refusalIn(answer, this.#link.server);
  }

  async query({ filter, top, values, token }: Asked, call: Call): Promise<Page> {
    const query: Record<string, string> = { $filter: filter, $top: String(top) };
    if (!values) query.$select = "PartitionKey,RowKey";
    if (token !== null) {
      query.NextPartitionKey = token.partition;
      query.NextRowKey = token.row;
    }
    const answer = await this.#send({ method: "GET", path: `/${this.#name}()`, query }, call);
    const { value } = this.#json(answer);
    const partition = answer.headers["x-ms-continuation-nextpartitionkey"];
    const row = answer.headers["x-ms-continuation-nextrowkey"];
    const more = typeof partition === "string" ? { partition, row: typeof row === "string" ? row : "" } : null;
    return { rows: Array.isArray(value) ? value : [], token: more };
  }

  /** A change as a request, alone or in a batch. */
  requestOf(operation: Operation): TableRequest {
    const json = { "Content-Type": "application/json" };
    switch (operation.kind) {
      case "put": {
        const { name, body, etag } = operation;
        const condition: Record<string, string> = etag === null ? {} : { "If-Match": etag };
        return { method: "PUT", path: this.#of(name), headers: { ...json, ...condition }, body };
      }
      case "insert":
        return {
          method: "POST",
          path: `/${this.#name}`,
          headers: { ...json, Prefer: "return-no-content" },
          body: operation.body,
        };
      case "delete":
        return {
          method: "DELETE",
          path: this.#of(operation.name),
          headers: { "If-Match": operation.etag ?? "*" },
          body: null,
        };
    }
  }

  #of({ partition, row }: RowName): string {
    return `/${this.#name}(PartitionKey='${quoted(partition)}',RowKey='${quoted(row)}')`;
  }

  #json(answer: StorageAnswer): Entity {
    if (answer.status > SUCCESS_LAST) throw answerError(answer, this.#link.server, false);
    try {
      return JSON.parse(answer.body.toString());
    } catch {
      // Its words quote the text, which has values in it.
      throw new StorageError("unavailable", `${this.#link.server} answers with something that is no JSON`);
    }
  }

  #send(
    request: {
      method: "GET" | "PUT" | "POST" | "DELETE";
      path: string;
      query?: Record<string, string>;
      headers?: Readonly<Record<string, string>>;
      body?: Buffer | null;
      isWrite?: boolean;
    },
    call: Call,
  ): Promise<StorageAnswer> {
    const { method, path, query = {}, headers = {}, body = null, isWrite = false } = request;
    return this.#link.send({ method, path, query, headers, body, isWrite }, call);
  }
}

export interface TableRequest {
  readonly method: "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

/** A key within an address, where a quote is doubled. */
function quoted(text: string): string {
  return encodeURIComponent(text.replaceAll("'", "''"));
}

export function isMissing(code: string): boolean {
  return code === "ResourceNotFound" || code === "EntityNotFound";
}
