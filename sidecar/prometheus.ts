// The sidecar's metrics as Prometheus series. Loaded only when metrics are on: prom-client costs memory in every pod.
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { MetricsSettings } from "#crds/configuration.ts";
import { ErrorMetrics } from "./error-series.ts";
import { GrpcMetrics } from "./grpc-series.ts";
import type { GrpcSample, HttpSample, Metrics, PolicySeries, PolicySubject, StateOperation } from "./metrics.ts";
import { PolicyMetrics } from "./policy-series.ts";
import { type Count, CountMetric, type Spread, SpreadMetric } from "./series.ts";
import type { OperatorStatus } from "./state/table.ts";

/** Milliseconds (dapr-state-api.md 9). */
const LATENCY_BOUNDS_MS = [
  1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250, 300, 400, 500, 650, 800, 1000,
  2000, 5000, 10_000, 20_000, 50_000, 100_000,
];
const KIB = 1024;
const SIZE_BOUNDS_BYTES = [1, 2, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304].map(
  (kib) => kib * KIB,
);
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"]);

interface Pair {
  readonly count: Count;
  readonly latency: Spread;
}

interface HttpPair extends Pair {
  readonly answers: Count;
}

export interface PrometheusOptions {
  readonly appId: string;
  /** "" when unset. */
  readonly namespace: string;
  /** The Configuration's; absent for the defaults. */
  readonly settings?: MetricsSettings;
}

export class PrometheusMetrics implements Metrics {
  readonly #appId: string;
  readonly #namespace: string;
  readonly #registry = new Registry();
  readonly #stateCount = new CountMetric(
    "dapr_component_state_count",
    "The number of operations performed on the state component.",
  );
  readonly #stateLatency: SpreadMetric;
  readonly #httpCount = new CountMetric(
    "dapr_http_server_request_count",
    "Count of HTTP requests processed by the server.",
  );
  readonly #httpAnswers = new CountMetric("dapr_http_server_response_count", "The number of HTTP responses.");
  readonly #httpLatency: SpreadMetric;
  readonly #requestBytes = new SpreadMetric(
    "dapr_http_server_request_bytes",
    "HTTP request body size in bytes.",
    SIZE_BOUNDS_BYTES,
  );
  readonly #responseBytes = new SpreadMetric(
    "dapr_http_server_response_bytes",
    "HTTP response body size in bytes.",
    SIZE_BOUNDS_BYTES,
  );
  readonly #requestSize: Spread;
  readonly #responseSize: Spread;
  readonly #grpc: GrpcMetrics;
  readonly #policies: PolicyMetrics;
  /** Null unless they are asked for. */
  readonly #errors: ErrorMetrics | null;
  readonly #countsAnswers: boolean;
  readonly #namesMethods: boolean;
  /** By component, then by operation and outcome. */
  readonly #stateSeries = new Map<string, Map<string, Pair>>();
  /** By path, then by method and status. */
  readonly #httpSeries = new Map<string, Map<string, HttpPair>>();
  readonly #loaded: Counter;
  readonly #init: Counter;
  readonly #initFail: Counter;
  readonly #reload: Counter;
  readonly #fileProblems: Gauge;
  readonly #up: Gauge;
  readonly #connected: Gauge;
  readonly #lastContact: Gauge;
  /** Null outside of a cluster. */
  #operator: (() => OperatorStatus) | null = null;

  constructor(options: PrometheusOptions) {
    this.#appId = options.appId;
    this.#namespace = options.namespace;
    const { settings } = options;
    const boundsMs = settings?.latencyBoundsMs ?? LATENCY_BOUNDS_MS;
    const latency = (name: string, help: string): SpreadMetric => new SpreadMetric(name, help, boundsMs);
    const stateHelp = "The latency of the response from the state component, in milliseconds.";
    this.#stateLatency = latency("dapr_component_state_latencies", stateHelp);
    this.#httpLatency = latency("dapr_http_server_latency", "The processing latency of requests in milliseconds.");
    this.#grpc = new GrpcMetrics({ appId: options.appId, latencyBounds: boundsMs, sizeBounds: SIZE_BOUNDS_BYTES });
    this.#policies = new PolicyMetrics(options.appId);
    this.#errors = settings?.recordErrorCodes === true ? new ErrorMetrics(options.appId) : null;
    this.#countsAnswers = settings?.http.increasedCardinality !== false;
    this.#namesMethods = settings?.http.excludeVerbs !== true;
    this.#requestSize = this.#requestBytes.series({ app_id: this.#appId });
    this.#responseSize = this.#responseBytes.series({ app_id: this.#appId });
    const registers = [this.#registry];
    const counter = (name: string, help: string, labelNames: string[]): Counter =>
      new Counter({ name, help, labelNames, registers });
    this.#loaded = counter("dapr_runtime_component_loaded", "The number of successfully loaded components.", [
      "app_id",
    ]);
    this.#init = counter("dapr_runtime_component_init_total", "The number of initialized components.", [
      "app_id",
      "component",
    ]);
    const failLabels = ["app_id", "component", "reason", "componentName"];
    this.#initFail = counter(
      "dapr_runtime_component_init_fail_total",
      "The number of component initialization failures.",
      failLabels,
    );
    const reloadLabels = ["app_id", "component", "success"];
    this.#reload = counter(
      "pannier_component_reload_total",
      "Changed Components that were taken over, or refused and the last good one kept.",
      reloadLabels,
    );
    const gauge = (name: string, help: string, labelNames: string[]): Gauge =>
      new Gauge({ name, help, labelNames, registers });
    const problemsHelp = "Manifests and folders of them that cannot be used as they are.";
    this.#fileProblems = gauge("pannier_file_problems", problemsHelp, ["app_id"]);
    const upHelp = "1 when the store answered its last probe, else 0.";
    this.#up = gauge("pannier_store_up", upHelp, ["app_id", "component"]);
    this.#connected = gauge("pannier_operator_connected", "1 when connected with the operator, else 0.", ["app_id"]);
    const contactHelp = "When the operator sent something last, in seconds since 1970.";
    this.#lastContact = gauge("pannier_operator_last_contact_timestamp_seconds", contactHelp, ["app_id"]);
    collectDefaultMetrics({ register: this.#registry });
  }

  state(component: string, operation: StateOperation, success: boolean, latencyMs: number): void {
    const key = success ? operation : `${operation} failed`;
    const pair = this.#stateSeries.get(component)?.get(key) ?? this.#newStatePair(component, operation, success, key);
    pair.count.value++;
    this.#stateLatency.add(pair.latency, latencyMs);
  }

  http(sample: HttpSample): void {
    const key = `${sample.method} ${sample.status}`;
    const pair = this.#httpSeries.get(sample.path)?.get(key) ?? this.#newHttpPair(sample);
    pair.count.value++;
    pair.answers.value++;
    // Whole milliseconds, as Dapr records them for this series.
    this.#httpLatency.add(pair.latency, Math.trunc(sample.latencyMs));
    this.#requestBytes.add(this.#requestSize, sample.requestBytes);
    this.#responseBytes.add(this.#responseSize, sample.responseBytes);
  }

  grpc(sample: GrpcSample): void {
    this.#grpc.add(sample);
  }

  componentLoaded(): void {
    this.#loaded.inc({ app_id: this.#appId });
  }

  componentInit(type: string): void {
    this.#init.inc({ app_id: this.#appId, component: type });
  }

  componentInitFail(type: string, reason: "creation" | "init", name: string): void {
    this.#initFail.inc({ app_id: this.#appId, component: type, reason, componentName: name });
  }

  componentReload(name: string, success: boolean): void {
    this.#reload.inc({ app_id: this.#appId, component: name, success: String(success) });
  }

  fileProblems(count: number): void {
    this.#fileProblems.set({ app_id: this.#appId }, count);
  }

  errorCode(code: string, category?: string): void {
    this.#errors?.add(code, category);
  }

  resiliencyLoaded(name: string, namespace: string): void {
    this.#policies.loaded(name, namespace);
  }

  policy(subject: PolicySubject): PolicySeries {
    return this.#policies.policy(subject);
  }

  storeUp(name: string, up: boolean): void {
    this.#up.set({ app_id: this.#appId, component: name }, up ? 1 : 0);
  }

  storeGone(name: string): void {
    this.#up.remove({ app_id: this.#appId, component: name });
  }

  operator(status: () => OperatorStatus): void {
    this.#operator = status;
  }

  async text(): Promise<string> {
    this.#noteOperator();
    const own = [
      this.#stateCount,
      this.#stateLatency,
      this.#httpCount,
      ...(this.#countsAnswers ? [this.#httpAnswers] : []),
      this.#httpLatency,
      this.#requestBytes,
      this.#responseBytes,
      this.#grpc,
      this.#policies,
      ...(this.#errors === null ? [] : [this.#errors]),
    ];
    return own.map((metric) => metric.text()).join("\n") + (await this.#registry.metrics());
  }

  #noteOperator(): void {
    const status = this.#operator?.();
    if (status === undefined) return;
    const labels = { app_id: this.#appId };
    this.#connected.set(labels, status.connected ? 1 : 0);
    if (status.lastContactMs !== null) this.#lastContact.set(labels, status.lastContactMs / 1000);
  }

  #newStatePair(component: string, operation: StateOperation, success: boolean, key: string): Pair {
    const labels = { app_id: this.#appId, component, namespace: this.#namespace, operation, success: String(success) };
    const pair = { count: this.#stateCount.series(labels), latency: this.#stateLatency.series(labels) };
    keep(this.#stateSeries, component, key, pair);
    return pair;
  }

  /** Methods that nobody knows share one label, so that a client cannot make up series. */
  #newHttpPair(sample: HttpSample): HttpPair {
    const verb = METHODS.has(sample.method) ? sample.method : "UNKNOWN";
    const method = this.#namesMethods ? verb : "";
    const key = `${method} ${sample.status}`;
    const known = this.#httpSeries.get(sample.path)?.get(key);
    if (known !== undefined) return known;
    const labels = { app_id: this.#appId, method, path: sample.path, status: String(sample.status) };
    const pair = {
      count: this.#httpCount.series(labels),
      answers: this.#httpAnswers.series(labels),
      latency: this.#httpLatency.series(labels),
    };
    keep(this.#httpSeries, sample.path, key, pair);
    return pair;
  }
}

function keep<P>(series: Map<string, Map<string, P>>, outer: string, inner: string, pair: P): void {
  const known = series.get(outer);
  if (known === undefined) series.set(outer, new Map([[inner, pair]]));
  else known.set(inner, pair);
}
