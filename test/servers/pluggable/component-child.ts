// A pluggable component of our own, as a process: state in an SQLite file, on the Unix socket that is named first. Knows
// nothing of the sidecar but the protocol. `component-child.ts SOCKET DATABASE [WITHOUT…]`: services to leave out.
import { randomUUID } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import type {
  BulkGetRequest,
  DeleteRequest,
  GetRequest,
  GetResponse,
  InitRequest,
  QueryRequest,
  SetRequest,
  TransactionalStateRequest,
} from "#proto/gen/clients/dapr/proto/components/v1/state.ts";
import { BadRequest } from "#proto/gen/google/rpc/error_details.ts";
import { Status } from "#proto/gen/google/rpc/status.ts";
import { decodeMessage, encodeMessage } from "#proto/wire.ts";
import {
  BULK_GET,
  DELETE,
  FEATURES,
  GET,
  INIT,
  type Method,
  MULTI_MAX_SIZE,
  PING,
  QUERY,
  SET,
  TRANSACT,
} from "#sidecar/stores/pluggable/methods.ts";

const [, , SOCKET = "", DATABASE = "", ...WITHOUT] = process.argv;
const OPERATIONS_MAX = 1000;
const FIRST_WRITE = 1;

interface Row {
  readonly value: Uint8Array;
  readonly etag: string;
  readonly expires: number | null;
}

const database = new DatabaseSync(DATABASE);
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
database.exec("CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB, etag TEXT, expires INTEGER)");
const selectRow = database.prepare("SELECT value, etag, expires FROM state WHERE key = ?");
const upsertRow = database.prepare("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)");
const deleteRow = database.prepare("DELETE FROM state WHERE key = ?");
const initialised = new Set<string>();

class Refusal extends Error {
  readonly code: number;
  /** What is said of the ETag; null where it is none of its faults. */
  readonly etag: string | null;
  constructor(code: number, message: string, etag: string | null = null) {
    super(message);
    this.code = code;
    this.etag = etag;
  }
}

function live(key: string): Row | null {
  const row = selectRow.get(key);
  if (row === undefined) return null;
  const { value, etag, expires } = row;
  if (!(value instanceof Uint8Array) || typeof etag !== "string") throw new Refusal(status.INTERNAL, "a broken row");
  if (typeof expires === "number" && expires <= Date.now()) return null;
  return { value, etag, expires: typeof expires === "number" ? expires : null };
}

function mustHold(before: Row | null, etag: string, firstWrite: boolean): void {
  if (etag === "" && !(firstWrite && before !== null)) return;
  if (etag !== "" && before?.etag === etag) return;
  throw new Refusal(status.FAILED_PRECONDITION, "the condition does not hold", "not the current ETag");
}

function write(request: SetRequest): void {
  const { key, value, metadata } = request;
  const ttlSec = Number(metadata.ttlInSeconds ?? 0);
  upsertRow.run(key, value, randomUUID(), ttlSec > 0 ? Date.now() + ttlSec * 1000 : null);
}

function mustHoldFor(request: SetRequest | DeleteRequest, isDelete: boolean): void {
  const firstWrite = !isDelete && request.options?.concurrency === FIRST_WRITE;
  mustHold(live(request.key), request.etag?.value ?? "", firstWrite);
}

function set(request: SetRequest): object {
  mustHoldFor(request, false);
  write(request);
  return {};
}

function remove(request: DeleteRequest): object {
  mustHoldFor(request, true);
  deleteRow.run(request.key);
  return {};
}

/** Every condition against the state before, then all changes in their order. */
function transact({ operations }: TransactionalStateRequest): object {
  if (operations.length > OPERATIONS_MAX) throw new Refusal(status.INVALID_ARGUMENT, "too many operations");
  const requests = operations.flatMap(({ request }) => (request === undefined ? [] : [request]));
  for (const request of requests) {
    if (request.$case === "set") mustHoldFor(request.set, false);
    else mustHoldFor(request.delete, true);
  }
  database.exec("BEGIN");
  try {
    for (const request of requests) {
      if (request.$case === "set") write(request.set);
      else deleteRow.run(request.delete.key);
    }
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
  return {};
}

function get({ key }: GetRequest): GetResponse {
  const row = live(key);
  if (row === null) return { data: Buffer.alloc(0), etag: undefined, metadata: {}, contentType: "" };
  const metadata = row.expires === null ? {} : { ttlExpireTime: new Date(row.expires).toISOString() };
  return { data: Buffer.from(row.value), etag: { value: row.etag }, metadata, contentType: "" };
}

function bulkGet({ items }: BulkGetRequest): object {
  // Not in the order of the request, which nobody promises.
  return { items: items.map((item) => ({ ...get(item), key: item.key, error: "" })).reverse() };
}

/** Only EQ of one member on the first level, and pages by a number: enough to see what comes in. */
function query({ query: asked }: QueryRequest): object {
  const { value } = asked?.filter.EQ ?? {};
  const [[path, wanted] = ["", undefined]] =
    value === undefined ? [] : Object.entries<unknown>(JSON.parse(value.toString()));
  const keys = database
    .prepare("SELECT key FROM state ORDER BY key")
    .all()
    .map(({ key }) => String(key));
  const rows = keys.flatMap((key) => {
    const { data, etag } = get({ key, metadata: {}, consistency: 0 });
    const fits = path === "" || JSON.parse(data.toString())[path] === wanted;
    return fits ? [{ key, data, etag, error: "", contentType: "" }] : [];
  });
  if (asked?.sort[0]?.order === 1) rows.reverse();
  const { limit = 0, token = "" } = asked?.pagination ?? {};
  const from = Number(token || "0");
  const end = limit === 0 ? rows.length : from + limit;
  return { items: rows.slice(from, end), token: end < rows.length ? String(end) : "", metadata: {} };
}

function init({ metadata }: InitRequest, instance: string): object {
  if (metadata?.properties.password === "wrong") throw new Refusal(status.UNAUTHENTICATED, "the password is wrong");
  initialised.add(instance);
  return {};
}

const FEATURE_WORDS = ["ETAG", "TRANSACTIONAL", "TTL", "QUERY_API"].filter((word) => !WITHOUT.includes(word));

function handler<Request, Response>(
  method: Method<Request, Response>,
  answer: (request: Request, instance: string) => object,
): [string, { definition: ServiceDefinition[string]; run: unknown }] {
  const definition = {
    path: method.path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (message: Request): Buffer => Buffer.from(encodeMessage(method.request, message)),
    requestDeserialize: (bytes: Buffer): Request => decodeMessage(method.request, bytes),
    responseSerialize: (message: Response): Buffer => Buffer.from(encodeMessage(method.response, message)),
    responseDeserialize: (bytes: Buffer): Response => decodeMessage(method.response, bytes),
  };
  const run = (call: ServerUnaryCall<Request, object>, reply: sendUnaryData<object>): void => {
    try {
      const instance = String(call.metadata.get("x-component-instance")[0] ?? "");
      if (method.path !== INIT.path && !initialised.has(instance))
        throw new Refusal(status.FAILED_PRECONDITION, "this Component has not been through Init");
      reply(null, answer(call.request, instance));
    } catch (error) {
      reply(refusalOf(error));
    }
  };
  return [method.path, { definition, run }];
}

function refusalOf(error: unknown): { code: number; details: string; metadata: Metadata } {
  const metadata = new Metadata();
  if (!(error instanceof Refusal)) return { code: status.UNKNOWN, details: String(error), metadata };
  const { code, message, etag } = error;
  if (etag !== null) {
    const value = encodeMessage(BadRequest, { fieldViolations: [{ field: "etag", description: etag }] });
    const details = [{ typeUrl: "type.googleapis.com/google.rpc.BadRequest", value: Buffer.from(value) }];
    metadata.set("grpc-status-details-bin", Buffer.from(encodeMessage(Status, { code, message, details })));
  }
  return { code, details: message, metadata };
}

const handlers = [
  handler(INIT, init),
  handler(FEATURES, () => ({ features: FEATURE_WORDS })),
  handler(PING, () => ({})),
  handler(GET, get),
  handler(BULK_GET, bulkGet),
  handler(SET, set),
  handler(DELETE, remove),
  handler(TRANSACT, transact),
  handler(MULTI_MAX_SIZE, () => ({ maxSize: OPERATIONS_MAX })),
  handler(QUERY, query),
].filter(([path]) => !WITHOUT.some((word) => path.endsWith(`/${word}`)));

if (existsSync(SOCKET)) rmSync(SOCKET);
const server = new Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
server.addService(
  Object.fromEntries(handlers.map(([path, { definition }]) => [path, definition])),
  Object.fromEntries(handlers.map(([path, { run }]) => [path, run as never])),
);
server.bindAsync(`unix:${SOCKET}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.stdout.write("ready\n");
});
