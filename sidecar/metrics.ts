// The sidecar's metrics, under Dapr's names and labels (dapr-state-api.md 9), so that dashboards keep working.
// Label values come from closed lists or from manifests; a key never becomes one.

/** dapr_component_state_* `operation`. */
export type StateOperation = "get" | "set" | "delete" | "bulk_get" | "bulk_delete" | "query" | "transaction";

export interface HttpSample {
  readonly method: string;
  /** The route's label, as "/v1.0/state/orders"; never with a key. */
  readonly path: string;
  readonly status: number;
  readonly latencyMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export interface Metrics {
  state(component: string, operation: StateOperation, success: boolean, latencyMs: number): void;
  http(sample: HttpSample): void;
  componentLoaded(): void;
  /** A Component of this type was opened. */
  componentInit(type: string): void;
  componentInitFail(type: string, reason: "creation" | "init", name: string): void;
  /** A manifest changed at run time: taken over, or refused and the last good one kept. */
  componentReload(name: string, success: boolean): void;
  /** Whether the store answered its last probe. */
  storeUp(name: string, up: boolean): void;
  /** The series of a Component that is gone. */
  storeGone(name: string): void;
  /** The Prometheus text of all series. */
  text(): Promise<string>;
}

/** For `--enable-metrics=false`: counts nothing and loads nothing. */
export const noMetrics: Metrics = {
  state: () => undefined,
  http: () => undefined,
  componentLoaded: () => undefined,
  componentInit: () => undefined,
  componentInitFail: () => undefined,
  componentReload: () => undefined,
  storeUp: () => undefined,
  storeGone: () => undefined,
  text: () => Promise.resolve(""),
};
