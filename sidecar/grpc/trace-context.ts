// Trace context over gRPC (dapr-state-api.md 10.1): `grpc-trace-bin` first, else `traceparent`; what is valid comes back
// as the header `grpc-trace-bin`, and none is made up without a tracer.
import { parseTraceparent, type TraceContext } from "../tracing/trace-context.ts";
import type { CallMetadata } from "./method.ts";

export const TRACE_HEADER = "grpc-trace-bin";
export const BAGGAGE_HEADER = "baggage";
/** version 0, field 0 with the trace id, field 1 with the span id, field 2 with the flags. */
const BINARY_BYTES = 29;
const TRACE_ID_AT = 2;
const SPAN_FIELD_AT = 18;
const FLAGS_FIELD_AT = 27;

/** The client's trace context, or null. */
export function traceContextOf(metadata: CallMetadata): TraceContext | null {
  const binary = metadata.get(TRACE_HEADER);
  if (binary instanceof Uint8Array && isBinary(binary)) return fromBinary(binary);
  const parent = metadata.get("traceparent");
  const state = metadata.get("tracestate");
  return typeof parent === "string" ? parseTraceparent(parent, typeof state === "string" ? state : "") : null;
}

export function toBinary({ traceId, spanId, flags }: TraceContext): Uint8Array {
  return Buffer.from(`0000${traceId}01${spanId}02${flags.toString(16).padStart(2, "0")}`, "hex");
}

function isBinary(bytes: Uint8Array): boolean {
  const fields = bytes[0] === 0 && bytes[1] === 0 && bytes[SPAN_FIELD_AT] === 1 && bytes[FLAGS_FIELD_AT] === 2;
  const traceId = bytes.subarray(TRACE_ID_AT, SPAN_FIELD_AT);
  const spanId = bytes.subarray(SPAN_FIELD_AT + 1, FLAGS_FIELD_AT);
  return bytes.length === BINARY_BYTES && fields && traceId.some(Boolean) && spanId.some(Boolean);
}

function fromBinary(bytes: Uint8Array): TraceContext {
  const text = Buffer.from(bytes).toString("hex");
  return {
    traceId: text.slice(2 * TRACE_ID_AT, 2 * SPAN_FIELD_AT),
    spanId: text.slice(2 * (SPAN_FIELD_AT + 1), 2 * FLAGS_FIELD_AT),
    flags: bytes[FLAGS_FIELD_AT + 1] ?? 0,
    state: "",
  };
}
