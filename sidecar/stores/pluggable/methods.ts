// The methods of a pluggable state store (dapr-state-api.md 10.3), with what each takes and gives. Sends nothing.
import {
  BulkGetRequest,
  BulkGetResponse,
  DeleteRequest,
  DeleteResponse,
  FeaturesRequest,
  FeaturesResponse,
  GetRequest,
  GetResponse,
  InitRequest,
  InitResponse,
  MultiMaxSizeRequest,
  MultiMaxSizeResponse,
  PingRequest,
  PingResponse,
  QueryRequest,
  QueryResponse,
  SetRequest,
  SetResponse,
  TransactionalStateRequest,
  TransactionalStateResponse,
} from "#proto/gen/clients/dapr/proto/components/v1/state.ts";
import type { MessageType } from "#proto/wire.ts";

export interface Method<Request, Response> {
  /** "/dapr.proto.components.v1.StateStore/Get". */
  readonly path: string;
  readonly request: MessageType<Request>;
  readonly response: MessageType<Response>;
  /** Whether what is stored may have changed when no answer comes. */
  readonly isWrite: boolean;
}

const PACKAGE = "/dapr.proto.components.v1";
const STORE = `${PACKAGE}.StateStore`;

export const INIT: Method<InitRequest, InitResponse> = {
  path: `${STORE}/Init`,
  request: InitRequest,
  response: InitResponse,
  isWrite: false,
};
export const FEATURES: Method<FeaturesRequest, FeaturesResponse> = {
  path: `${STORE}/Features`,
  request: FeaturesRequest,
  response: FeaturesResponse,
  isWrite: false,
};
export const PING: Method<PingRequest, PingResponse> = {
  path: `${STORE}/Ping`,
  request: PingRequest,
  response: PingResponse,
  isWrite: false,
};
export const GET: Method<GetRequest, GetResponse> = {
  path: `${STORE}/Get`,
  request: GetRequest,
  response: GetResponse,
  isWrite: false,
};
export const BULK_GET: Method<BulkGetRequest, BulkGetResponse> = {
  path: `${STORE}/BulkGet`,
  request: BulkGetRequest,
  response: BulkGetResponse,
  isWrite: false,
};
export const SET: Method<SetRequest, SetResponse> = {
  path: `${STORE}/Set`,
  request: SetRequest,
  response: SetResponse,
  isWrite: true,
};
export const DELETE: Method<DeleteRequest, DeleteResponse> = {
  path: `${STORE}/Delete`,
  request: DeleteRequest,
  response: DeleteResponse,
  isWrite: true,
};
export const TRANSACT: Method<TransactionalStateRequest, TransactionalStateResponse> = {
  path: `${PACKAGE}.TransactionalStateStore/Transact`,
  request: TransactionalStateRequest,
  response: TransactionalStateResponse,
  isWrite: true,
};
export const MULTI_MAX_SIZE: Method<MultiMaxSizeRequest, MultiMaxSizeResponse> = {
  path: `${PACKAGE}.TransactionalStoreMultiMaxSize/MultiMaxSize`,
  request: MultiMaxSizeRequest,
  response: MultiMaxSizeResponse,
  isWrite: false,
};
export const QUERY: Method<QueryRequest, QueryResponse> = {
  path: `${PACKAGE}.QueriableStateStore/Query`,
  request: QueryRequest,
  response: QueryResponse,
  isWrite: false,
};
