// The series of Resiliency policies, dapr_resiliency_* (dapr-state-api.md 9). Knows no policy, only how it is labelled.
import type { PolicySeries, PolicySubject } from "./metrics.ts";
import { type Count, CountMetric, type Labels } from "./series.ts";

/** A circuit breaker has a series for each of these; the one it is in is 1. */
const BREAKER_STATES = ["closed", "half-open", "open", "unknown"];

export class PolicyMetrics {
  readonly #appId: string;
  readonly #loaded = new CountMetric("dapr_resiliency_loaded", "Number of resiliency policies loaded.", "counter");
  readonly #applied = new CountMetric(
    "dapr_resiliency_count",
    "Number of times a resiliency policy has been applied to a building block.",
  );
  readonly #activated = new CountMetric(
    "dapr_resiliency_activations_total",
    "Number of times a resiliency policy has been activated in a building block after a failure or after a state change.",
  );
  readonly #state = new CountMetric(
    "dapr_resiliency_cb_state",
    "A resiliency policy's current circuit breaker state: 1 for the state it is in, 0 for the others.",
    "gauge",
  );
  /** By metric and labels: a policy that comes back after a reload goes on counting where it was. */
  readonly #known = new Map<string, Count>();

  constructor(appId: string) {
    this.#appId = appId;
  }

  loaded(name: string, namespace: string): void {
    this.#series(this.#loaded, "loaded", { app_id: this.#appId, name, namespace }).value++;
  }

  policy({ name, namespace, policy, target }: PolicySubject): PolicySeries {
    const labels = { app_id: this.#appId, flow_direction: "outbound", name, namespace, policy, target };
    const applied = new Map<string, Count>();
    let gauges: ReadonlyMap<string, Count> = new Map();
    return {
      applied: (status) => {
        // Once per call of a store: its series is found without putting its labels together again.
        let count = applied.get(status);
        if (count === undefined) {
          count = this.#series(this.#applied, "applied", { ...labels, status });
          applied.set(status, count);
        }
        count.value++;
      },
      activated: (status) => {
        this.#series(this.#activated, "activated", { ...labels, status }).value++;
      },
      breakerState: (status) => {
        if (status !== null && gauges.size === 0)
          gauges = new Map(BREAKER_STATES.map((state) => [state, this.#state.series({ ...labels, status: state })]));
        for (const [state, gauge] of gauges) gauge.value = state === status ? 1 : 0;
        if (status !== null) return;
        this.#state.drop([...gauges.values()]);
        gauges = new Map();
      },
    };
  }

  text(): string {
    return [this.#loaded, this.#applied, this.#activated, this.#state].map((metric) => metric.text()).join("\n");
  }

  #series(metric: CountMetric, what: string, labels: Labels): Count {
    const key = `${what} ${JSON.stringify(labels)}`;
    const known = this.#known.get(key) ?? metric.series(labels);
    this.#known.set(key, known);
    return known;
  }
}
