// A call as a span, by Dapr's names (dapr-state-api.md 10.1). No key and no value becomes part of one.
import type { RequestSpan, SpanAttributes, Tracer } from "../tracing/tracer.ts";
import { Code, type Status } from "./codes.ts";
import type { CallMetadata, Method } from "./method.ts";
import { traceContextOf } from "./trace-context.ts";

export function startCallSpan(
  tracer: Tracer,
  method: Method,
  request: Uint8Array,
  metadata: CallMetadata,
): RequestSpan {
  const { path } = method;
  const attributes = { "dapr.api": path, "dapr.protocol": "grpc", ...databaseOf(method, request) };
  return tracer.start({ name: path, parent: traceContextOf(metadata), attributes });
}

/** Dapr's word for what came of it, which is the code's number. */
export function endCallSpan(span: RequestSpan, { code }: Status): void {
  span.end({ "dapr.status_code": String(Code[code]) }, code !== "OK");
}

function databaseOf({ path, api }: Method, request: Uint8Array): SpanAttributes {
  if (api === null || !(api.startsWith("state/") || api.startsWith("actors/") || api === "pannier/v1")) return {};
  const database = { "db.system": "state", "db.connection_string": "state", "db.statement": path };
  const store = api.startsWith("actors/") ? null : leadingText(request);
  return store === null ? database : { ...database, "db.name": store };
}

/** Tag of field 1 with a length before its bytes: every request about a store begins with the store's name. */
const FIRST_FIELD = 0x0a;
/** Lengths up to here are one byte. */
const SHORT_MAX = 0x7f;

/** The first field when it stands first and is short, as all writers of messages put it; the message is not decoded here. */
function leadingText(message: Uint8Array): string | null {
  const [tag, length = 0] = message;
  if (tag !== FIRST_FIELD || length > SHORT_MAX || message.length < length + 2) return null;
  return Buffer.from(message.buffer, message.byteOffset + 2, length).toString();
}
