// Spans by OpenTelemetry's own packages. The only file that knows them; tracing.ts loads it when there is tracing.
import {
  type Context,
  createTraceState,
  type Tracer as OpenTelemetryTracer,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { OtelSettings, TracingSettings } from "#crds/configuration.ts";
import type { Log } from "#kit/log.ts";
import { VERSION } from "#kit/version.ts";
import type { TraceContext } from "./trace-context.ts";
import type { RequestSpan, SpanAttributes, SpanStart, Tracer } from "./tracer.ts";

/** Ended spans that wait for the exporter; more are dropped. */
const QUEUE_SPANS_MAX = 2048;
/** Spans that are sent at a time, and how long sending may take and they may wait for it, in milliseconds. */
const BATCH_SPANS_MAX = 512;
const EXPORT_MS_MAX = 10_000;
const EXPORT_EVERY_MS = 5_000;
/** Longest text of an attribute, and most attributes of a span. */
const ATTRIBUTE_CHARACTERS_MAX = 2048;
const ATTRIBUTES_MAX = 64;

export interface OpenTelemetryOptions {
  readonly appId: string;
  readonly log: Log;
  readonly settings: TracingSettings;
}

export class OpenTelemetry implements Tracer {
  readonly #provider: TracerProvider;
  readonly #tracer: OpenTelemetryTracer;
  readonly #root: RatioSampler;

  private constructor({ appId, settings, log }: OpenTelemetryOptions, exporters: readonly SpanExporter[]) {
    this.#root = new RatioSampler(settings.samplingRate);
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({ "service.name": appId }),
      sampler: new ParentBasedSampler({ root: this.#root }),
      spanLimits: { attributeValueLengthLimit: ATTRIBUTE_CHARACTERS_MAX, attributeCountLimit: ATTRIBUTES_MAX },
      spanProcessors: exporters.map(
        (exporter) =>
          new BatchSpanProcessor({
            exporter: new WatchedExporter(exporter, log),
            maxQueueSize: QUEUE_SPANS_MAX,
            maxExportBatchSize: BATCH_SPANS_MAX,
            scheduledDelayMillis: EXPORT_EVERY_MS,
            exportTimeoutMillis: EXPORT_MS_MAX,
          }),
      ),
    });
    this.#tracer = this.#provider.getTracer("pannier", VERSION);
  }

  /** Loads the exporters that the settings name, and no others. */
  static async open(options: OpenTelemetryOptions): Promise<OpenTelemetry> {
    const { settings, log } = options;
    const exporters: SpanExporter[] = [];
    if (settings.otel !== null) exporters.push(await openOtlp(settings.otel));
    if (settings.zipkinEndpoint !== null) {
      const { ZipkinExporter } = await import("@opentelemetry/exporter-zipkin");
      exporters.push(new ZipkinExporter({ url: settings.zipkinEndpoint, serviceName: options.appId }));
    }
    if (settings.stdout) exporters.push(new LogExporter(log));
    return new OpenTelemetry(options, exporters);
  }

  /** From 0 to 1; of the requests that bring no context along. */
  set samplingRate(rate: number) {
    this.#root.rate = rate;
  }

  start({ name, parent, attributes }: SpanStart): RequestSpan {
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes: { ...attributes } }, under(parent));
    return new OpenSpan(span);
  }

  close(): Promise<void> {
    return this.#provider.shutdown();
  }
}

class OpenSpan implements RequestSpan {
  readonly #span: Span;
  readonly context: TraceContext;

  constructor(span: Span) {
    const { traceId, spanId, traceFlags, traceState } = span.spanContext();
    this.#span = span;
    this.context = { traceId, spanId, flags: traceFlags, state: traceState?.serialize() ?? "" };
  }

  end(attributes: SpanAttributes, isError: boolean): void {
    this.#span.setAttributes({ ...attributes });
    if (isError) this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }
}

function under(parent: TraceContext | null): Context {
  if (parent === null) return ROOT_CONTEXT;
  const { traceId, spanId, flags, state } = parent;
  const traceState = state === "" ? {} : { traceState: createTraceState(state) };
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags, isRemote: true, ...traceState });
}

/** By the ratio that holds at the moment. */
class RatioSampler implements Sampler {
  #rate: number;
  #sampler: TraceIdRatioBasedSampler;

  constructor(rate: number) {
    this.#rate = rate;
    this.#sampler = new TraceIdRatioBasedSampler(rate);
  }

  set rate(rate: number) {
    if (rate === this.#rate) return;
    this.#rate = rate;
    this.#sampler = new TraceIdRatioBasedSampler(rate);
  }

  shouldSample(context: Context, traceId: string): ReturnType<Sampler["shouldSample"]> {
    return this.#sampler.shouldSample(context, traceId);
  }

  toString(): string {
    return this.#sampler.toString();
  }
}

async function openOtlp(settings: OtelSettings): Promise<SpanExporter> {
  const { endpointAddress, isSecure, protocol, headers, timeoutMs: timeoutMillis } = settings;
  const origin = endpointAddress.includes("://") ? endpointAddress : `http${isSecure ? "s" : ""}://${endpointAddress}`;
  if (protocol === "http") {
    const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
    const fields = Object.fromEntries(headers.map(({ name, value }) => [name, value]));
    return new OTLPTraceExporter({ url: tracesUrl(origin), headers: fields, timeoutMillis });
  }
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
  const { Metadata } = await import("@grpc/grpc-js");
  const metadata = new Metadata();
  for (const { name, value } of headers) metadata.add(name, value);
  return new OTLPTraceExporter({ url: origin, metadata, timeoutMillis });
}

/** The path that OTLP names, unless the address has one of its own. */
function tracesUrl(origin: string): string {
  const url = new URL(origin);
  if (url.pathname === "/") url.pathname = "/v1/traces";
  return url.href;
}

/** Says once that spans cannot be sent, and once that they can again: a collector that is down is no request's fault. */
class WatchedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #log: Log;
  #failing = false;

  constructor(exporter: SpanExporter, log: Log) {
    this.#exporter = exporter;
    this.#log = log;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    this.#exporter.export(spans, (result) => {
      const failed = result.code !== 0;
      if (failed && !this.#failing) this.#log.warn("spans cannot be exported", { error: result.error?.message ?? "" });
      if (!failed && this.#failing) this.#log.info("spans are exported again");
      this.#failing = failed;
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }
}

/** `stdout: true`: a log line per span. */
class LogExporter implements SpanExporter {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    for (const span of spans) {
      const { traceId, spanId } = span.spanContext();
      const [seconds, nanoseconds] = span.duration;
      this.#log.info("span", {
        name: span.name,
        trace_id: traceId,
        span_id: spanId,
        parent_span_id: span.parentSpanContext?.spanId ?? "",
        duration_ms: seconds * 1e3 + nanoseconds / 1e6,
        failed: span.status.code === SpanStatusCode.ERROR,
        attributes: JSON.stringify(span.attributes),
      });
    }
    done({ code: 0 });
  }

  async shutdown(): Promise<void> {
    // A log needs no end.
  }
}
