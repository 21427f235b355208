// What the surfaces need to trace a request. Knows no library: who sets no tracing loads none.
import type { TraceContext } from "./trace-context.ts";

export interface SpanStart {
  /** The path of a request, the full method of a call. */
  readonly name: string;
  /** The context that came in; null when there was none, or none that is valid. */
  readonly parent: TraceContext | null;
  readonly attributes: SpanAttributes;
}

export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface RequestSpan {
  /** To answer with, whether the span is sampled or not. */
  readonly context: TraceContext;
  /** Ends it. `attributes` are those that were not known before: the status. */
  end(attributes: SpanAttributes, isError: boolean): void;
}

export interface Tracer {
  start(start: SpanStart): RequestSpan;
}

/** Asked anew for each request: sampling can be turned on and off. Null: nothing is traced. */
export interface TracerSource {
  readonly tracer: Tracer | null;
}

export const noTracing: TracerSource = { tracer: null };
