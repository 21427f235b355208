// What is measured: the requests of each operation as bytes, over HTTP and over gRPC, with a value of 1 KB.
import type { StateItem } from "#proto/gen/dapr/proto/common/v1/common.ts";
import {
  ExecuteStateTransactionRequest,
  GetBulkStateRequest,
  GetStateRequest,
  SaveStateRequest,
} from "#proto/gen/dapr/proto/runtime/v1/state.ts";
import { encodeMessage } from "#proto/wire.ts";
import type { Operation } from "./direct-child.ts";

export const VALUE: string = JSON.stringify("x".repeat(1022));
export const OPERATIONS: readonly Operation[] = ["get", "set", "transaction of 4", "bulk get of 20"];

const STORE = "statestore";
const KEYS = Array.from({ length: 20 }, (_, index) => `bench-${index}`);
const FOUR = KEYS.slice(0, 4);

export interface HttpCase {
  readonly request: Buffer;
  readonly expected: string;
}

function post(path: string, body: string): Buffer {
  return Buffer.from(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
}

const item = (key: string): string => `{"key":"${key}","value":${VALUE}}`;
const upsert = (key: string): string => `{"operation":"upsert","request":${item(key)}}`;
const ROUTE = `/v1.0/state/${STORE}`;

/** Writes all keys that the others read. */
export const FILL: HttpCase = { request: post(ROUTE, `[${KEYS.map(item)}]`), expected: "HTTP/1.1 204" };

export const HTTP: Readonly<Record<Operation, HttpCase>> = {
  get: { request: Buffer.from(`GET ${ROUTE}/bench-0 HTTP/1.1\r\nHost: x\r\n\r\n`), expected: "HTTP/1.1 200" },
  set: { request: post(ROUTE, `[${item("bench-0")}]`), expected: "HTTP/1.1 204" },
  "transaction of 4": {
    request: post(`${ROUTE}/transaction`, `{"operations":[${FOUR.map(upsert)}]}`),
    expected: "HTTP/1.1 204",
  },
  "bulk get of 20": {
    request: post(`${ROUTE}/bulk`, JSON.stringify({ keys: KEYS })),
    expected: "HTTP/1.1 200",
  },
};

export interface GrpcCase {
  readonly path: string;
  readonly message: Uint8Array;
  readonly answerBytesMin: number;
}

const SERVICE = "/dapr.proto.runtime.v1.Dapr";
const value = Buffer.from(VALUE);
const stateItem = (key: string): StateItem => ({ key, value, etag: undefined, metadata: {}, options: undefined });

export const GRPC: Readonly<Record<Operation, GrpcCase>> = {
  get: {
    path: `${SERVICE}/GetState`,
    message: encodeMessage(GetStateRequest, { storeName: STORE, key: "bench-0", consistency: 0, metadata: {} }),
    answerBytesMin: value.length,
  },
  set: {
    path: `${SERVICE}/SaveState`,
    message: encodeMessage(SaveStateRequest, { storeName: STORE, states: [stateItem("bench-0")] }),
    answerBytesMin: 0,
  },
  "transaction of 4": {
    path: `${SERVICE}/ExecuteStateTransaction`,
    message: encodeMessage(ExecuteStateTransactionRequest, {
      storeName: STORE,
      operations: FOUR.map((key) => ({ operationType: "upsert", request: stateItem(key) })),
      metadata: {},
    }),
    answerBytesMin: 0,
  },
  "bulk get of 20": {
    path: `${SERVICE}/GetBulkState`,
    message: encodeMessage(GetBulkStateRequest, { storeName: STORE, keys: KEYS, parallelism: 0, metadata: {} }),
    answerBytesMin: 20 * value.length,
  },
};
