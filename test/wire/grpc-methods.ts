// The methods of the gRPC API as a client calls them, and short ways to fill their messages.
import type { StateItem } from "#proto/gen/dapr/proto/common/v1/common.ts";
import {
  ExecuteActorStateTransactionRequest,
  GetActorStateRequest,
  GetActorStateResponse,
} from "#proto/gen/dapr/proto/runtime/v1/actors.ts";
import { ShutdownRequest } from "#proto/gen/dapr/proto/runtime/v1/dapr.ts";
import {
  GetMetadataRequest,
  GetMetadataResponse,
  SetMetadataRequest,
} from "#proto/gen/dapr/proto/runtime/v1/metadata.ts";
import {
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
  type TransactionalStateOperation,
} from "#proto/gen/dapr/proto/runtime/v1/state.ts";
import { Empty } from "#proto/gen/google/protobuf/empty.ts";
import type { MessageType } from "#proto/wire.ts";
import type { Method } from "./grpc-client.ts";

function dapr<Q, A>(name: string, request: MessageType<Q>, response: MessageType<A>): Method<Q, A> {
  return { path: `/dapr.proto.runtime.v1.Dapr/${name}`, request, response };
}

export const GET: Method<GetStateRequest, GetStateResponse> = dapr("GetState", GetStateRequest, GetStateResponse);
export const BULK_GET: Method<GetBulkStateRequest, GetBulkStateResponse> = dapr(
  "GetBulkState",
  GetBulkStateRequest,
  GetBulkStateResponse,
);
export const SAVE: Method<SaveStateRequest, Empty> = dapr("SaveState", SaveStateRequest, Empty);
export const DELETE: Method<DeleteStateRequest, Empty> = dapr("DeleteState", DeleteStateRequest, Empty);
export const BULK_DELETE: Method<DeleteBulkStateRequest, Empty> = dapr(
  "DeleteBulkState",
  DeleteBulkStateRequest,
  Empty,
);
export const TRANSACT: Method<ExecuteStateTransactionRequest, Empty> = dapr(
  "ExecuteStateTransaction",
  ExecuteStateTransactionRequest,
  Empty,
);
export const QUERY: Method<QueryStateRequest, QueryStateResponse> = dapr(
  "QueryStateAlpha1",
  QueryStateRequest,
  QueryStateResponse,
);
export const GET_ACTOR: Method<GetActorStateRequest, GetActorStateResponse> = dapr(
  "GetActorState",
  GetActorStateRequest,
  GetActorStateResponse,
);
export const TRANSACT_ACTOR: Method<ExecuteActorStateTransactionRequest, Empty> = dapr(
  "ExecuteActorStateTransaction",
  ExecuteActorStateTransactionRequest,
  Empty,
);
export const GET_METADATA: Method<GetMetadataRequest, GetMetadataResponse> = dapr(
  "GetMetadata",
  GetMetadataRequest,
  GetMetadataResponse,
);
export const SET_METADATA: Method<SetMetadataRequest, Empty> = dapr("SetMetadata", SetMetadataRequest, Empty);
export const SHUTDOWN: Method<ShutdownRequest, Empty> = dapr("Shutdown", ShutdownRequest, Empty);

/** The store that most tests use. */
export const STORE_NAME = "statestore";

export type ItemParts = Partial<Omit<StateItem, "etag" | "value">> & {
  readonly etag?: string;
  readonly value?: string | Buffer;
};

export function item(key: string, parts: ItemParts = {}): StateItem {
  const { value = "", etag, metadata = {}, options } = parts;
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return { key, value: bytes, etag: etag === undefined ? undefined : { value: etag }, metadata, options };
}

export function getOf(key: string, storeName: string = STORE_NAME): GetStateRequest {
  return { storeName, key, consistency: 0, metadata: {} };
}

export function saveOf(states: StateItem[], storeName: string = STORE_NAME): SaveStateRequest {
  return { storeName, states };
}

export function deleteOf(key: string, parts: Partial<DeleteStateRequest> = {}): DeleteStateRequest {
  return { storeName: STORE_NAME, key, etag: undefined, options: undefined, metadata: {}, ...parts };
}

export function transactionOf(
  operations: readonly (readonly [string, StateItem | undefined])[],
  metadata: Record<string, string> = {},
): ExecuteStateTransactionRequest {
  const all = operations.map(([operationType, request]): TransactionalStateOperation => ({ operationType, request }));
  return { storeName: STORE_NAME, operations: all, metadata };
}
