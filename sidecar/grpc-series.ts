// The series of gRPC calls, dapr_grpc_io_server_* (dapr-state-api.md 9). Methods and statuses are closed lists.
import type { GrpcSample } from "./metrics.ts";
import { type Count, CountMetric, type Spread, SpreadMetric } from "./series.ts";

/** What one method has however its calls end. */
interface MethodSeries {
  readonly received: Spread;
  readonly sent: Spread;
  readonly byStatus: Map<string, { readonly count: Count; readonly latency: Spread }>;
}

export interface GrpcMetricsOptions {
  readonly appId: string;
  /** Milliseconds. */
  readonly latencyBounds: readonly number[];
  /** Bytes. */
  readonly sizeBounds: readonly number[];
}

export class GrpcMetrics {
  readonly #appId: string;
  readonly #completed = new CountMetric(
    "dapr_grpc_io_server_completed_rpcs",
    "Count of RPCs by method and status, when they have ended.",
  );
  readonly #latency: SpreadMetric;
  readonly #received: SpreadMetric;
  readonly #sent: SpreadMetric;
  readonly #methods = new Map<string, MethodSeries>();

  constructor({ appId, latencyBounds, sizeBounds }: GrpcMetricsOptions) {
    this.#appId = appId;
    const latencyHelp = "From the first byte received to the status sent, in milliseconds.";
    this.#latency = new SpreadMetric("dapr_grpc_io_server_server_latency", latencyHelp, latencyBounds);
    const receivedHelp = "Bytes received in all messages of an RPC.";
    this.#received = new SpreadMetric("dapr_grpc_io_server_received_bytes_per_rpc", receivedHelp, sizeBounds);
    const sentHelp = "Bytes sent in all messages of an RPC.";
    this.#sent = new SpreadMetric("dapr_grpc_io_server_sent_bytes_per_rpc", sentHelp, sizeBounds);
  }

  add({ method, status, latencyMs, receivedBytes, sentBytes }: GrpcSample): void {
    const series = this.#methods.get(method) ?? this.#newMethod(method);
    const pair = series.byStatus.get(status) ?? this.#newStatus(series, method, status);
    pair.count.value++;
    // Whole milliseconds, as Dapr records them for this series.
    this.#latency.add(pair.latency, Math.trunc(latencyMs));
    this.#received.add(series.received, receivedBytes);
    this.#sent.add(series.sent, sentBytes);
  }

  text(): string {
    return [this.#completed, this.#latency, this.#received, this.#sent].map((metric) => metric.text()).join("\n");
  }

  #newMethod(method: string): MethodSeries {
    const labels = { app_id: this.#appId, grpc_server_method: method };
    const made = { received: this.#received.series(labels), sent: this.#sent.series(labels), byStatus: new Map() };
    this.#methods.set(method, made);
    return made;
  }

  #newStatus({ byStatus }: MethodSeries, method: string, status: string): { count: Count; latency: Spread } {
    const labels = { app_id: this.#appId, grpc_server_method: method, grpc_server_status: status };
    const pair = { count: this.#completed.series(labels), latency: this.#latency.series(labels) };
    byStatus.set(status, pair);
    return pair;
  }
}
