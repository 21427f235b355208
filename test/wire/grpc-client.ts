// A gRPC client for wire tests, over the generated messages and @grpc/grpc-js: one call at a time, and all that came back.
import { Client, credentials, Metadata, type MetadataValue, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, Help, ResourceInfo } from "#proto/gen/google/rpc/error_details.ts";
import { Status } from "#proto/gen/google/rpc/status.ts";
import { decodeMessage, encodeMessage, type MessageType } from "#proto/wire.ts";
import { Code, type CodeName } from "#sidecar/grpc/codes.ts";

export interface Method<Q, A> {
  readonly path: string;
  readonly request: MessageType<Q>;
  readonly response: MessageType<A>;
}

/** How a call ended, with its details as plain objects that name their type. */
export interface Failure {
  readonly code: CodeName;
  readonly message: string;
  readonly details: readonly object[];
}

export interface Reply<A> {
  /** Null when the call failed. */
  readonly answer: A | null;
  /** Null when it succeeded. */
  readonly failure: Failure | null;
  readonly headers: Metadata;
}

export interface Ask {
  readonly metadata?: Readonly<Record<string, MetadataValue>>;
  readonly deadline?: Date;
  readonly signal?: AbortSignal;
}

export class GrpcClient {
  readonly #client: Client;

  constructor(address: string, options: Readonly<Record<string, string | number>> = {}) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      // A connection of its own, so that one test cannot meet another's.
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
  }

  get library(): Client {
    return this.#client;
  }

  /** Calls a method; a failure is told in the reply. */
  ask<Q, A>(method: Method<Q, A>, message: Q, ask: Ask = {}): Promise<Reply<A>> {
    const { promise, resolve } = Promise.withResolvers<Reply<A>>();
    let headers = new Metadata();
    const options = ask.deadline === undefined ? {} : { deadline: ask.deadline };
    const call = this.#client.makeUnaryRequest(
      method.path,
      (value: Q) => Buffer.from(encodeMessage(method.request, value)),
      (bytes: Buffer) => decodeMessage(method.response, bytes),
      message,
      toMetadata(ask.metadata),
      options,
      (error, answer) => {
        if (error !== null) resolve({ answer: null, failure: toFailure(error), headers });
        else resolve({ answer: answer ?? null, failure: null, headers });
      },
    );
    call.on("metadata", (metadata: Metadata) => {
      headers = metadata;
    });
    ask.signal?.addEventListener("abort", () => call.cancel());
    return promise;
  }

  /** Calls a method that succeeds. */
  async get<Q, A>(method: Method<Q, A>, message: Q, ask: Ask = {}): Promise<A> {
    const { answer, failure } = await this.ask(method, message, ask);
    if (answer === null) throw new Error(`${method.path}: ${JSON.stringify(failure)}`);
    return answer;
  }

  /** Calls a method that fails. */
  async fail<Q, A>(method: Method<Q, A>, message: Q, ask: Ask = {}): Promise<Failure> {
    const { answer, failure } = await this.ask(method, message, ask);
    if (failure === null) throw new Error(`${method.path} succeeded: ${JSON.stringify(answer)}`);
    return failure;
  }

  close(): void {
    this.#client.close();
  }
}

export function toMetadata(entries: Ask["metadata"] = {}): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}

export function toFailure(error: ServiceError | StatusObject): Failure {
  const code = (Object.keys(Code) as CodeName[]).find((name) => Code[name] === error.code);
  if (code === undefined) throw new Error(`no code of ours: ${error.code} ${error.details}`);
  const packed = error.metadata.get("grpc-status-details-bin")[0];
  if (!Buffer.isBuffer(packed)) return { code, message: error.details, details: [] };
  const status = decodeMessage(Status, packed);
  if (status.code !== error.code || status.message !== error.details) throw new Error("status and details disagree");
  return { code, message: error.details, details: status.details.map(({ typeUrl, value }) => unpack(typeUrl, value)) };
}

const DETAILS: Readonly<Record<string, MessageType<object>>> = { BadRequest, ErrorInfo, Help, ResourceInfo } as never;

function unpack(typeUrl: string, value: Uint8Array): object {
  const name = typeUrl.slice("type.googleapis.com/google.rpc.".length);
  const type = DETAILS[name];
  if (type === undefined) throw new Error(`unknown detail ${typeUrl}`);
  return { "@type": name, ...decodeMessage(type, value) };
}
