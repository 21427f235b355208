// Runs a call: token, what a Configuration allows, the method, its outcome as a status; then counts and logs it. The
// same for whatever server takes the calls from the wire.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { ApiGroup } from "../configuration/api-access.ts";
import type { Metrics } from "../metrics.ts";
import { StateError } from "../state/errors.ts";
import { baggageFault } from "../tracing/trace-context.ts";
import type { RequestSpan, TracerSource } from "../tracing/tracer.ts";
import { endCallSpan, startCallSpan } from "./call-span.ts";
import { Code, OK, type Status } from "./codes.ts";
import { CallError, refusal, statusOf, tagOf } from "./errors.ts";
import type { GrpcCall, Method, StreamCall, StreamMethod, UnaryMethod } from "./method.ts";
import { DAPR_SERVICE } from "./state-methods.ts";
import type { TokenCheck } from "./token.ts";
import { BAGGAGE_HEADER, TRACE_HEADER, toBinary, traceContextOf } from "./trace-context.ts";

export interface CallsOptions {
  readonly methods: readonly Method[];
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: TracerSource;
  /** Null: no token is asked for. */
  readonly token: TokenCheck | null;
  /** What the Configuration's lists leave. */
  readonly isAllowed: (api: ApiGroup) => boolean;
  /** One log line per call. */
  readonly apiLogging: boolean;
  /** Calls of health are not logged. */
  readonly omitsHealthChecks: boolean;
  /** Largest message each way; 0 for no limit. */
  readonly bodyBytesMax: number;
  /** Told of each call's message bytes, in and out, when it has ended. */
  readonly onBody: (bytes: number) => void;
}

/** Names and values; bytes for names ending in -bin. */
export type ResponseHeaders = readonly (readonly [string, string | Uint8Array])[];

/** A call as the server under the methods hands it over. */
export interface Incoming extends GrpcCall {
  /** The client cancelled, left, or its deadline passed: it gets no answer. */
  readonly isGone: boolean;
  /** Headers that go before the answer; called once at most. */
  respondHeaders(headers: ResponseHeaders): void;
}

export interface IncomingUnary extends Incoming {
  /** Whether the client, and all of them together, have taken enough of earlier answers for one of so many bytes. */
  hasRoom(bytes: number): boolean;
  /** Counts the answer's bytes until the client has taken it. Only the first count of a call stands. */
  hold(bytes: number): void;
}

export interface IncomingStream extends Incoming, StreamCall {
  readonly requests: AsyncIterable<Uint8Array>;
}

export interface Outcome {
  readonly status: Status;
  /** Null unless the status is OK. */
  readonly bytes: Uint8Array | null;
}

interface Traffic {
  receivedBytes: number;
  sentBytes: number;
}

const UNREAD_TEXT =
  "too many bytes of earlier answers have not been taken by this client, or by all together; read them, or ask for less at a time (docs/grpc-api.md)";

/** The label of all methods that are not there, so that a client cannot make up series. */
const UNKNOWN_METHOD = "UNKNOWN";

/**
 * A call that its client ends so shortly before the deadline, in milliseconds, ends by it: a deadline travels as the time that
 * is left, so that the client's passes earlier than ours by as long as the request was on its way.
 */
const DEADLINE_SLACK_MS = 100;

export class Calls {
  readonly #options: CallsOptions;
  readonly #methods: ReadonlyMap<string, Method>;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.#methods = new Map(options.methods.map((method) => [method.path, method]));
  }

  get methods(): Iterable<Method> {
    return this.#methods.values();
  }

  /** Never rejects. */
  async unary(method: UnaryMethod, request: Uint8Array, call: IncomingUnary): Promise<Outcome> {
    const startMs = this.#options.clock.monotonicMs();
    const { tracer } = this.#options.tracing;
    const span = tracer === null || method.api === null ? null : startCallSpan(tracer, method, request, call.metadata);
    let status = OK;
    let bytes: Uint8Array | null = null;
    try {
      this.#admit(method, call, span);
      if (method.keepsAnswer) this.#hold(request.length, call);
      bytes = await method.answer(request, call);
      this.#checkSize(bytes);
      if (!method.keepsAnswer) this.#hold(bytes.length, call);
    } catch (error) {
      bytes = null;
      status = this.#toStatus(error);
    }
    if (call.isGone) status = this.#gone(call);
    if (span !== null) endCallSpan(span, status);
    this.#observe(method.path, status, startMs, call, {
      receivedBytes: request.length,
      sentBytes: bytes === null ? 0 : bytes.length,
    });
    return { status, bytes };
  }

  /** Never rejects. */
  async stream(method: StreamMethod, call: IncomingStream): Promise<Status> {
    const startMs = this.#options.clock.monotonicMs();
    const traffic = { receivedBytes: 0, sentBytes: 0 };
    let status = OK;
    try {
      this.#admit(method, call, null);
      await method.serve(counted(call.requests, traffic), {
        metadata: call.metadata,
        deadlineMs: call.deadlineMs,
        signal: call.signal,
        send: (bytes) => {
          this.#checkSize(bytes);
          traffic.sentBytes += bytes.length;
          return call.send(bytes);
        },
      });
    } catch (error) {
      // Reading from a client that is gone fails in whatever way; that it is gone is what counts.
      status = call.isGone ? OK : this.#toStatus(error);
    }
    if (call.isGone) status = this.#gone(call);
    this.#observe(method.path, status, startMs, call, traffic);
    return status;
  }

  /** The answer to a call of a method that is not there; never OK. */
  unknown(path: string, call: Incoming): Status {
    const startMs = this.#options.clock.monotonicMs();
    const status = this.#toStatus(this.#whyUnknown(path, call));
    this.#observe(UNKNOWN_METHOD, status, startMs, call, { receivedBytes: 0, sentBytes: 0 });
    return status;
  }

  #whyUnknown(path: string, call: Incoming): unknown {
    try {
      this.#options.token?.(call.metadata);
    } catch (error) {
      return error;
    }
    if (!path.startsWith(DAPR_SERVICE)) return new CallError("Unimplemented", `there is no method ${path} here`);
    const text = `Pannier serves the state API of Dapr and has no ${path.slice(DAPR_SERVICE.length)}; what it has is in docs/grpc-api.md`;
    return new CallError("Unimplemented", text);
  }

  /** Throws a CallError for a call that may not pass. */
  #admit({ api }: Method, call: Incoming, span: RequestSpan | null): void {
    const context = span?.context ?? traceContextOf(call.metadata);
    const baggage = call.metadata.get(BAGGAGE_HEADER);
    const fault = typeof baggage === "string" && baggage !== "" && api !== null ? baggageFault(baggage) : null;
    const headers: [string, string | Uint8Array][] = [];
    if (context !== null) headers.push([TRACE_HEADER, toBinary(context)]);
    if (typeof baggage === "string" && baggage !== "" && fault === null) headers.push([BAGGAGE_HEADER, baggage]);
    if (headers.length > 0) call.respondHeaders(headers);
    if (fault !== null) throw new CallError("InvalidArgument", `metadata baggage: ${fault}`);
    if (api === null) return;
    this.#options.token?.(call.metadata);
    if (this.#options.isAllowed(api)) return;
    throw refusal("Unimplemented", "Not Implemented", { code: 501, error: "requested endpoint is not available" });
  }

  #checkSize(bytes: Uint8Array): void {
    const { bodyBytesMax } = this.#options;
    if (bodyBytesMax === 0 || bytes.length <= bodyBytesMax) return;
    const text = `the answer has ${bytes.length} bytes, more than the ${bodyBytesMax} of --max-body-size`;
    throw new CallError("ResourceExhausted", text);
  }

  #hold(bytes: number, call: IncomingUnary): void {
    if (!call.hasRoom(bytes)) throw new CallError("ResourceExhausted", UNREAD_TEXT);
    call.hold(bytes);
  }

  #toStatus(error: unknown): Status {
    if (error instanceof StateError) this.#options.metrics.errorCode(tagOf(error));
    if (error instanceof StateError || error instanceof CallError) return statusOf(error);
    this.#options.log.error("call failed by a fault of the sidecar", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return { code: "Internal", message: "the sidecar failed on this call; its log says how", details: null };
  }

  #gone({ deadlineMs }: Incoming): Status {
    const isLate = deadlineMs !== null && this.#options.clock.nowMs() >= deadlineMs - DEADLINE_SLACK_MS;
    return isLate
      ? { code: "DeadlineExceeded", message: "Deadline exceeded", details: null }
      : { code: "Canceled", message: "the client canceled the call", details: null };
  }

  #observe(label: string, status: Status, startMs: number, call: Incoming, traffic: Traffic): void {
    const { clock, metrics, log, apiLogging, omitsHealthChecks, onBody } = this.#options;
    const latencyMs = clock.monotonicMs() - startMs;
    onBody(traffic.receivedBytes + traffic.sentBytes);
    metrics.grpc({ method: label, status: status.code, latencyMs, ...traffic });
    if (!apiLogging || (omitsHealthChecks && this.#methods.get(label)?.api === null)) return;
    const agent = call.metadata.get("user-agent");
    log.info("gRPC API Called", {
      method: label,
      code: Code[status.code],
      duration: Math.trunc(latencyMs),
      useragent: typeof agent === "string" ? agent.slice(0, 200) : "",
    });
  }
}

async function* counted(requests: AsyncIterable<Uint8Array>, traffic: Traffic): AsyncGenerator<Uint8Array> {
  for await (const bytes of requests) {
    traffic.receivedBytes += bytes.length;
    yield bytes;
  }
}
