// The operator's metrics as Prometheus series, all under pannier_operator_ but those of the injector, which keep Dapr's
// names (dapr-kubernetes.md 2.2). Label values come from closed lists.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { OperatorMetrics } from "./metrics.ts";

/** Seconds. */
const RECONCILE_BOUNDS_SEC = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15];
const ADMISSION_BOUNDS_SEC = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5];
const PREFIX = "pannier_operator_";

export class PrometheusOperatorMetrics implements OperatorMetrics {
  readonly #registry = new Registry();
  readonly #reconciled = this.#counter("reconciles_total", "Reconciles by what they came to.", [
    "controller",
    "outcome",
  ]);
  readonly #reconcileSeconds = new Histogram({
    name: `${PREFIX}reconcile_duration_seconds`,
    help: "Time of a reconcile.",
    labelNames: ["controller"],
    buckets: RECONCILE_BOUNDS_SEC,
    registers: [this.#registry],
  });
  readonly #queueDepth = this.#gauge("queue_depth", "Keys that wait to be reconciled.", ["controller"]);
  readonly #watchRestarts = this.#counter("watch_restarts_total", "Watches begun anew, by cause.", [
    "resource",
    "cause",
  ]);
  readonly #cached = this.#gauge("cached_objects", "Objects held by a watch.", ["resource"]);
  readonly #leads = this.#gauge("leader", "1 while this replica leads.", []);
  readonly #streams = this.#gauge("sidecar_streams", "Sidecars that are connected to this replica.", []);
  readonly #streamEnds = this.#counter("sidecar_streams_ended_total", "Streams to sidecars that ended.", ["cause"]);
  readonly #authorized = this.#counter("sidecar_authorizations_total", "Sidecars that asked for a stream.", [
    "outcome",
  ]);
  readonly #admitted = this.#counter("admissions_total", "Pods that the webhook was asked about.", [
    "outcome",
    "reason",
  ]);
  readonly #admissionSeconds = new Histogram({
    name: `${PREFIX}admission_duration_seconds`,
    help: "Time of an answer of the webhook.",
    labelNames: ["outcome"],
    buckets: ADMISSION_BOUNDS_SEC,
    registers: [this.#registry],
  });
  readonly #requests = this.#daprCounter("requests_total", "The total number of sidecar injection requests.");
  readonly #succeeded = this.#daprCounter("succeeded_total", "The total number of successful sidecar injections.");
  readonly #failed = this.#daprCounter("failed_total", "The total number of failed sidecar injections.", ["reason"]);
  readonly #unsidecared = this.#gauge("pods_without_sidecar", "Annotated pods that run without a sidecar.", []);
  readonly #expires = this.#gauge("certificate_expiry_timestamp_seconds", "When a certificate ends.", ["certificate"]);
  readonly #hasStatus = this.#gauge(
    "status_subresource",
    "0 where Components have no status: another CRD is there.",
    [],
  );
  readonly #components = this.#gauge("components", "Components by their condition Ready.", ["ready"]);

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** The series as text in Prometheus' exposition format 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  reconciled(controller: string, outcome: "same" | "written" | "failed", durationMs: number): void {
    this.#reconciled.inc({ controller, outcome });
    this.#reconcileSeconds.observe({ controller }, durationMs / 1000);
  }

  queueDepth(controller: string, depth: number): void {
    this.#queueDepth.set({ controller }, depth);
  }

  watchRestarted(resource: string, cause: string): void {
    this.#watchRestarts.inc({ resource, cause });
  }

  cached(resource: string, objects: number): void {
    this.#cached.set({ resource }, objects);
  }

  isLeader(leads: boolean): void {
    this.#leads.set(leads ? 1 : 0);
  }

  streams(open: number): void {
    this.#streams.set(open);
  }

  streamEnded(cause: string): void {
    this.#streamEnds.inc({ cause });
  }

  authorized(outcome: "allowed" | "refused" | "failed"): void {
    this.#authorized.inc({ outcome });
  }

  admitted(outcome: "injected" | "skipped" | "denied" | "failed", reason: string, durationMs: number): void {
    this.#admitted.inc({ outcome, reason });
    this.#admissionSeconds.observe({ outcome }, durationMs / 1000);
    if (outcome === "skipped") return;
    this.#requests.inc();
    if (outcome === "injected") this.#succeeded.inc();
    else this.#failed.inc({ reason });
  }

  unsidecared(pods: number): void {
    this.#unsidecared.set(pods);
  }

  certificateExpires(certificate: string, atSec: number): void {
    this.#expires.set({ certificate }, atSec);
  }

  hasStatus(isThere: boolean): void {
    this.#hasStatus.set(isThere ? 1 : 0);
  }

  components(counts: Readonly<Record<"True" | "False" | "Unknown", number>>): void {
    for (const [ready, count] of Object.entries(counts)) this.#components.set({ ready }, count);
  }

  #counter(name: string, help: string, labelNames: readonly string[]): Counter {
    return new Counter({ name: `${PREFIX}${name}`, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  #gauge(name: string, help: string, labelNames: readonly string[]): Gauge {
    return new Gauge({ name: `${PREFIX}${name}`, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  /** Dapr labels the successful ones by app id, which has no bound: left out here. */
  #daprCounter(name: string, help: string, labelNames: readonly string[] = []): Counter {
    const fullName = `dapr_injector_sidecar_injection_${name}`;
    return new Counter({ name: fullName, help, labelNames: [...labelNames], registers: [this.#registry] });
  }
}
