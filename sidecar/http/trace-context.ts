// W3C trace context (https://www.w3.org/TR/trace-context/): a valid `traceparent` is passed through and answered, none
// is made up without a tracer (dapr-state-api.md 10.1).
import type { Exchange } from "./exchange.ts";

const TRACESTATE_CHARACTERS_MAX = 512;
/** version-traceid-parentid-flags, all lower-case hex; version ff is invalid, zeros are no ids. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export function shareTraceContext(exchange: Exchange): void {
  const { traceparent, tracestate } = exchange.request.headers;
  if (typeof traceparent !== "string" || !TRACEPARENT.test(traceparent)) return;
  exchange.share("traceparent", traceparent);
  if (typeof tracestate === "string" && tracestate.length <= TRACESTATE_CHARACTERS_MAX)
    exchange.share("tracestate", tracestate);
}
