// The W3C contexts of a request over HTTP: what is valid is answered, with the span's own in place of the client's when
// there is a tracer; none is made up without one (dapr-state-api.md 10.1).
import { baggageFault, formatTraceparent, parseTraceparent, type TraceContext } from "../tracing/trace-context.ts";
import type { Exchange } from "./exchange.ts";
import type { HttpRequest } from "./message.ts";

/** The client's context, or null. */
export function traceContextOf({ headers }: HttpRequest): TraceContext | null {
  const { traceparent, tracestate } = headers;
  if (typeof traceparent !== "string") return null;
  return parseTraceparent(traceparent, typeof tracestate === "string" ? tracestate : "");
}

export function shareTraceContext(exchange: Exchange, context: TraceContext): void {
  exchange.share("traceparent", formatTraceparent(context));
  if (context.state !== "") exchange.share("tracestate", context.state);
}

/** Answers with the client's `baggage`. Gives what is wrong with it, or null. */
export function shareBaggage(exchange: Exchange): string | null {
  const { baggage } = exchange.request.headers;
  if (typeof baggage !== "string" || baggage === "") return null;
  const fault = baggageFault(baggage);
  if (fault === null) exchange.share("baggage", baggage);
  return fault;
}
