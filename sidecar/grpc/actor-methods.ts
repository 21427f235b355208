// The methods of an actor's state (dapr-state-api.md 4): only what stands in the messages, the rules are in state/actors.ts.
import {
  ExecuteActorStateTransactionRequest,
  GetActorStateRequest,
  GetActorStateResponse,
  type TransactionalActorStateOperation,
} from "#proto/gen/dapr/proto/runtime/v1/actors.ts";
import { Empty } from "#proto/gen/google/protobuf/empty.ts";
import type { ActorOperation, ActorStates } from "../state/actors.ts";
import { type GrpcCall, type Method, unary } from "./method.ts";
import { foundMetadata } from "./requests.ts";
import { DAPR_SERVICE } from "./state-methods.ts";

const NO_BYTES = new Uint8Array(0);

export function actorMethods(actors: ActorStates): readonly Method[] {
  const api = "actors/v1.0";
  return [
    unary({
      path: `${DAPR_SERVICE}GetActorState`,
      api,
      request: GetActorStateRequest,
      response: GetActorStateResponse,
      handle: (request, call) => getActorState(actors, request, call),
    }),
    unary({
      path: `${DAPR_SERVICE}ExecuteActorStateTransaction`,
      api,
      request: ExecuteActorStateTransactionRequest,
      response: Empty,
      handle: (request, call) => executeActorStateTransaction(actors, request, call),
    }),
  ];
}

async function getActorState(
  actors: ActorStates,
  { actorType, actorId, key }: GetActorStateRequest,
  call: GrpcCall,
): Promise<GetActorStateResponse> {
  const found = await actors.get({ actorType, actorId }, key, call);
  if (found === null) return { data: NO_BYTES, metadata: {} };
  return { data: found.bytes, metadata: foundMetadata(found) };
}

async function executeActorStateTransaction(
  actors: ActorStates,
  { actorType, actorId, operations }: ExecuteActorStateTransactionRequest,
  call: GrpcCall,
): Promise<Empty> {
  await actors.transact({ actorType, actorId }, operations.map(toActorOperation), call);
  return {};
}

/** The value is the bytes of the Any, whatever its type URL says. */
function toActorOperation({ operationType, key, value, metadata }: TransactionalActorStateOperation): ActorOperation {
  return {
    operation: operationType,
    request: { key, bytes: value?.value ?? NO_BYTES, isJson: false, etag: "", metadata },
  };
}
