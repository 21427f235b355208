// The state methods of Dapr's service (dapr-state-api.md 3.3): what stands in a message becomes a call of the state
// service, what comes back becomes a message. No rule of the API is decided here.

import {
  type BulkStateItem,
  DeleteBulkStateRequest,
  DeleteStateRequest,
  ExecuteStateTransactionRequest,
  GetBulkStateRequest,
  GetBulkStateResponse,
  GetStateRequest,
  GetStateResponse,
  QueryStateRequest,
  QueryStateResponse,
  SaveStateRequest,
} from "#proto/gen/dapr/proto/runtime/v1/state.ts";
import { Empty } from "#proto/gen/google/protobuf/empty.ts";
import { encodeMessage } from "#proto/wire.ts";
import { bulkDelete } from "../state/bulk-delete.ts";
import { queryState } from "../state/query/run.ts";
import type { BulkItem, StateService } from "../state/service.ts";
import { requireTransactions, transact } from "../state/transact.ts";
import { CallError } from "./errors.ts";
import { type GrpcCall, type Method, unary } from "./method.ts";
import { consistencyWord, foundMetadata, toDelete, toOperation, tooLargeValue, toSave } from "./requests.ts";

/** Dapr's service; its methods' paths begin so. */
export const DAPR_SERVICE = "/dapr.proto.runtime.v1.Dapr/";

const NO_BYTES = new Uint8Array(0);
const DONE: Empty = {};
/** A bulk get reads so many times the bytes that an answer may have before it gives up, as over HTTP. */
const READ_BODIES_MAX = 16;

export interface StateMethodsOptions {
  readonly service: StateService;
  /** Largest message each way; 0 for no limit. */
  readonly bodyBytesMax: number;
}

export function stateMethods(options: StateMethodsOptions): readonly Method[] {
  const { service } = options;
  const api = "state/v1.0";
  return [
    unary({
      path: `${DAPR_SERVICE}GetState`,
      api,
      request: GetStateRequest,
      response: GetStateResponse,
      handle: (request, call) => getState(service, request, call),
    }),
    unary({
      path: `${DAPR_SERVICE}GetBulkState`,
      api,
      request: GetBulkStateRequest,
      response: GetBulkStateResponse,
      handle: (request, call) => getBulkState(options, request, call),
    }),
    unary({
      path: `${DAPR_SERVICE}SaveState`,
      api,
      request: SaveStateRequest,
      response: Empty,
      handle: (request, call) => saveState(service, request, call),
    }),
    unary({
      path: `${DAPR_SERVICE}DeleteState`,
      api,
      request: DeleteStateRequest,
      response: Empty,
      handle: (request, call) => deleteState(service, request, call),
    }),
    unary({
      path: `${DAPR_SERVICE}DeleteBulkState`,
      api,
      request: DeleteBulkStateRequest,
      response: Empty,
      handle: (request, call) => deleteBulkState(service, request, call),
    }),
    unary({
      path: `${DAPR_SERVICE}QueryStateAlpha1`,
      api: "state/v1.0-alpha1",
      request: QueryStateRequest,
      response: QueryStateResponse,
      handle: (request, call) => runQuery(options, request, call),
    }),
    unary({
      path: `${DAPR_SERVICE}ExecuteStateTransaction`,
      api,
      request: ExecuteStateTransactionRequest,
      response: Empty,
      handle: (request, call) => executeStateTransaction(service, request, call),
    }),
  ];
}

async function getState(service: StateService, request: GetStateRequest, call: GrpcCall): Promise<GetStateResponse> {
  const { storeName, key, metadata } = request;
  const found = await service.get(
    storeName,
    { key, consistency: consistencyWord(request.consistency), metadata },
    call,
  );
  if (found === null) return { data: NO_BYTES, etag: "", metadata: {} };
  return { data: found.bytes, etag: found.etag ?? "", metadata: foundMetadata(found) };
}

async function getBulkState(
  { service, bodyBytesMax }: StateMethodsOptions,
  request: GetBulkStateRequest,
  call: GrpcCall,
): Promise<GetBulkStateResponse> {
  const { storeName, keys, parallelism, metadata } = request;
  const bytesMax = bodyBytesMax * READ_BODIES_MAX;
  const items = await service.bulkGet(storeName, { keys, parallelism, metadata, bytesMax }, call);
  const bytes = items.reduce((sum, { found }) => sum + (found?.bytes.length ?? 0), 0);
  // Found out before the answer is written, which would take the memory once more.
  if (bodyBytesMax > 0 && bytes > bodyBytesMax) throw tooManyValues(bytes, bodyBytesMax);
  return { items: items.map(toBulkStateItem) };
}

function tooManyValues(bytes: number, bytesMax: number): CallError {
  const text = `the values have ${bytes} bytes together, an answer has at most ${bytesMax} (--max-body-size); ask for fewer keys`;
  return new CallError("ResourceExhausted", text);
}

function toBulkStateItem({ key, found, error }: BulkItem): BulkStateItem {
  return {
    key,
    data: found?.bytes ?? NO_BYTES,
    etag: found?.etag ?? "",
    error: error ?? "",
    metadata: found === null ? {} : foundMetadata(found),
  };
}

async function saveState(service: StateService, request: SaveStateRequest, call: GrpcCall): Promise<Empty> {
  const entry = service.find(request.storeName);
  const requests = request.states.map((item) => toSave(entry, item));
  await service.save(entry.name, requests, call);
  return DONE;
}

async function deleteState(service: StateService, request: DeleteStateRequest, call: GrpcCall): Promise<Empty> {
  await service.delete(request.storeName, toDelete(request), call);
  return DONE;
}

async function executeStateTransaction(
  service: StateService,
  request: ExecuteStateTransactionRequest,
  call: GrpcCall,
): Promise<Empty> {
  const entry = service.find(request.storeName);
  requireTransactions(entry);
  const operations = request.operations.map((operation) => toOperation(operation, request.metadata));
  await transact(service, entry.name, operations, call);
  return DONE;
}

async function deleteBulkState(service: StateService, request: DeleteBulkStateRequest, call: GrpcCall): Promise<Empty> {
  await bulkDelete(service, request.storeName, request.states.map(toDelete), call);
  return DONE;
}

async function runQuery(
  { service, bodyBytesMax }: StateMethodsOptions,
  { storeName, query }: QueryStateRequest,
  call: GrpcCall,
): Promise<QueryStateResponse> {
  const { rows, token } = await queryState(
    service,
    storeName,
    { body: Buffer.from(query), bytesMax: bodyBytesMax },
    call,
  );
  const results = rows.map(({ key, found }) => ({ key, data: found.bytes, etag: found.etag ?? "", error: "" }));
  const answer: QueryStateResponse = { results, token: token ?? "", metadata: {} };
  const [row] = results;
  if (row === undefined || results.length > 1) return answer;
  const error = tooLargeValue(row.data, encodeMessage(QueryStateResponse, answer).length, bodyBytesMax);
  return error === null ? answer : { ...answer, results: [{ ...row, data: NO_BYTES, error }] };
}
