// What a method of the gRPC API is and what it sees of a call: decoded messages, metadata, a deadline, a cancel signal.
// Knows no gRPC library, so that another server can be put under the methods.
import { decodeMessage, encodeMessage, type MessageType } from "#proto/wire.ts";
import type { ApiGroup } from "../configuration/api-access.ts";
import type { Caller } from "../state/service.ts";
import { CallError } from "./errors.ts";

/** By name in lower case; the first value of each. Names ending in -bin have bytes. */
export type CallMetadata = Pick<ReadonlyMap<string, string | Uint8Array>, "get">;

/** The client's side of one call; the signal aborts when the client cancels, leaves, or its deadline passes. */
export interface GrpcCall extends Caller {
  readonly metadata: CallMetadata;
  /** Milliseconds since 1970 UTC; null when the client set none. */
  readonly deadlineMs: number | null;
}

/** A call in whose course several messages go back. */
export interface StreamCall extends GrpcCall {
  /** Resolves when the client's side can take another one. */
  send(bytes: Uint8Array): Promise<void>;
}

interface MethodBase {
  /** "/dapr.proto.runtime.v1.Dapr/GetState" */
  readonly path: string;
  /** What a Configuration calls it; null for what no list can take away and what needs no token: health. */
  readonly api: ApiGroup | null;
}

/** One message in, one out. */
export interface UnaryMethod extends MethodBase {
  readonly kind: "unary";
  /**
   * Its answer tells what was written and must not be refused afterwards: room for it is asked for beforehand, as much as
   * the request takes, since both have the same keys.
   */
  readonly keepsAnswer: boolean;
  answer(bytes: Uint8Array, call: GrpcCall): Promise<Uint8Array>;
}

export interface StreamMethod extends MethodBase {
  readonly kind: "stream";
  /** Resolves when the call has ended well. */
  serve(requests: AsyncIterable<Uint8Array>, call: StreamCall): Promise<void>;
}

export type Method = UnaryMethod | StreamMethod;

export interface UnaryParts<Q, A> extends MethodBase {
  readonly request: MessageType<Q>;
  readonly response: MessageType<A>;
  /** False by default. */
  readonly keepsAnswer?: boolean;
  handle(request: Q, call: GrpcCall): A | Promise<A>;
}

export function unary<Q, A>(parts: UnaryParts<Q, A>): UnaryMethod {
  const { path, api, request, response, keepsAnswer = false, handle } = parts;
  return {
    kind: "unary",
    path,
    api,
    keepsAnswer,
    async answer(bytes, call) {
      return encodeMessage(response, await handle(decodeRequest(request, bytes), call));
    },
  };
}

/** Throws a CallError for bytes that are no such message: Internal, as gRPC's own table of codes has it. */
export function decodeRequest<Q>(type: MessageType<Q>, bytes: Uint8Array): Q {
  try {
    return decodeMessage(type, bytes);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CallError("Internal", `grpc: error unmarshalling request: ${why}`);
  }
}
